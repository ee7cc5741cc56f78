"""A timestamp keeps its microseconds in PostgreSQL's binary format."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.models.task import TASKS
from backend.platform.postgres.timestamp_batch import read_timestamps, sent_timestamp
from tests.support.fast_paths import set_fast_paths

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def sent(*times: datetime) -> list[bytes]:
    return [struct.pack(">q", (time - EPOCH) // timedelta(microseconds=1)) for time in times]


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=3))
@example([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@example([datetime(2095, 1, 24, 5, 19, 59, 999_999, tzinfo=UTC)])
def test_times_come_back_as_they_were(times: list[datetime]) -> None:
    found = read_timestamps(sent(*times))
    assert found == times
    assert all(time.tzinfo is UTC for time in found)


@given(st.integers(-3_100_000_000_000_000, 3_100_000_000_000_000))
def test_each_microsecond_of_these_years_is_read_as_it_is(microseconds: int) -> None:
    time = EPOCH + timedelta(microseconds=microseconds)
    assert read_timestamps([struct.pack(">q", microseconds)]) == [time]


def test_the_driver_reads_times_while_the_accelerator_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    set_fast_paths(monkeypatch)
    assert sent_timestamp(TASKS.c.created_at) is TASKS.c.created_at
    assert read_timestamps([EPOCH]) == [EPOCH]
    set_fast_paths(monkeypatch, "timestamp_batch")
    assert str(sent_timestamp(TASKS.c.created_at)) == "timestamptz_send(tasks.created_at)"
