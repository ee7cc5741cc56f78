"""Due dates: dates and date-times in one value, and the instants that they are sorted by."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.schemas.due import DueValue, due_bounds, due_key, format_due, parse_due

dates = st.dates(date(1970, 1, 1))
times = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants naive bounds
END = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@given(dates | times)
def test_formatted_value_is_parsed_back(value: DueValue) -> None:
    parsed = parse_due(format_due(value))
    assert (type(parsed), parsed) == (type(value), value)


@given(times, st.integers(-23 * 60, 23 * 60))
def test_offset_does_not_change_the_instant(time: datetime, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    if not timedelta(days=1) < time - datetime(1970, 1, 1, tzinfo=UTC) < timedelta(days=2_900_000):
        return
    sign, rest = ("-" if minutes < 0 else "+"), abs(minutes)
    local = (time + offset).replace(tzinfo=None).isoformat()
    assert parse_due(f"{local}{sign}{rest // 60:02}:{rest % 60:02}") == time


def test_a_date_is_sorted_by_its_last_microsecond() -> None:
    day = date(2026, 12, 1)
    assert due_key(day) == datetime(2026, 12, 1, 23, 59, 59, 999999, tzinfo=UTC)
    assert due_key(day) + timedelta(microseconds=1) == datetime(2026, 12, 2, tzinfo=UTC)
    assert due_key(date(9999, 12, 31)) == END


def test_bounds_of_a_date_exclude_the_day() -> None:
    before, after = due_bounds(date(2026, 12, 1))
    inside = [datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 1, 23, 59, 59, 999999, tzinfo=UTC)]
    assert not any(due_key(each) < before or due_key(each) > after for each in inside)
    assert due_key(date(2026, 11, 30)) < before
    assert due_key(datetime(2026, 12, 2, tzinfo=UTC)) > after


@given(times)
def test_bounds_of_a_time_are_the_time(time: datetime) -> None:
    assert due_bounds(time) == (time, time)


@given(st.text(max_size=30))
def test_other_text_is_a_value_error(text: str) -> None:
    try:
        value = parse_due(text)
    except ValueError:
        return
    assert parse_due(format_due(value)) == value


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999999Z", "9999-12-31T22:59:59.999999-01:00"])
def test_last_microsecond_is_valid(text: str) -> None:
    assert parse_due(text) == END
