"""Accelerator `timestamptz_codec`: converts `timestamptz` faster than asyncpg; a page has a hundred values.

Uses no internals: asyncpg documents `set_type_codec` and its tuple format.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from backend.platform.settings.fast_paths import is_on

__all__ = ["decode_timestamptz", "encode_timestamptz", "register_codec"]

# The epoch of PostgreSQL, from which it counts microseconds.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS = 946_684_800
_MICROSECOND = timedelta(microseconds=1)
_EXACT_MICROSECONDS = 3_000_000_000_000_000
"""In this range (1904 to 2095) a float of seconds represents every microsecond exactly."""


def decode_timestamptz(wire: tuple[int]) -> datetime:
    """Decode a `timestamptz`: microseconds since 2000, UTC."""
    (microseconds,) = wire
    if -_EXACT_MICROSECONDS < microseconds < _EXACT_MICROSECONDS:
        return datetime.fromtimestamp(microseconds / 1_000_000 + _EPOCH_SECONDS, UTC)
    return _EPOCH + microseconds * _MICROSECOND


def encode_timestamptz(time: datetime) -> tuple[int]:
    """Encode a time-zone-aware datetime as `timestamptz`."""
    return ((time - _EPOCH) // _MICROSECOND,)


async def register_codec(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Register the codec on this connection, if the accelerator is on."""
    if not is_on("timestamptz_codec"):
        return
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=encode_timestamptz,
        decoder=decode_timestamptz,
        format="tuple",
    )
