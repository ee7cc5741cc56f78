"""A timestamp keeps its microseconds in the binary wire format."""

from datetime import UTC, datetime, timedelta, timezone
from unittest.mock import AsyncMock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.platform.postgres.timestamptz_codec import decode_timestamptz, encode_timestamptz, register_codec
from tests.support.fast_paths import set_fast_paths

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime(2095, 1, 24, 5, 19, 59, 999_999, tzinfo=UTC))
def test_a_time_comes_back_as_it_was(time: datetime) -> None:
    wire = encode_timestamptz(time)
    assert wire == ((time - EPOCH) // timedelta(microseconds=1),)
    assert decode_timestamptz(wire) == time


@given(st.integers(-3_100_000_000_000_000, 3_100_000_000_000_000))
def test_each_microsecond_of_these_years_is_read_as_it_is(microseconds: int) -> None:
    assert decode_timestamptz((microseconds,)) == EPOCH + timedelta(microseconds=microseconds)


def test_an_offset_is_the_same_time() -> None:
    time = datetime(2026, 11, 24, 9, 15, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert decode_timestamptz(encode_timestamptz(time)) == time


async def test_the_driver_reads_times_while_the_accelerator_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = AsyncMock()
    set_fast_paths(monkeypatch)
    await register_codec(connection)
    connection.set_type_codec.assert_not_called()
    set_fast_paths(monkeypatch, "timestamptz_codec")
    await register_codec(connection)
    connection.set_type_codec.assert_awaited_once()
