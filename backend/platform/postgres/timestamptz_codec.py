"""Accelerator `timestamptz_codec`: reads and writes `timestamptz` faster than asyncpg, for a page has a hundred of them.

Leans on no internals: asyncpg documents `set_type_codec` and its tuple format.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from backend.platform.settings.fast_paths import is_on

__all__ = ["decode_timestamptz", "encode_timestamptz", "register_codec"]

# PostgreSQL counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS = 946_684_800
_MICROSECOND = timedelta(microseconds=1)
_EXACT_MICROSECONDS = 3_000_000_000_000_000
"""Up to here (1904 to 2095) a float of seconds holds every microsecond."""


def decode_timestamptz(wire: tuple[int]) -> datetime:
    """Return the time of a `timestamptz`, which is microseconds since 2000."""
    (microseconds,) = wire
    if -_EXACT_MICROSECONDS < microseconds < _EXACT_MICROSECONDS:
        return datetime.fromtimestamp(microseconds / 1_000_000 + _EPOCH_SECONDS, UTC)
    return _EPOCH + microseconds * _MICROSECOND


def encode_timestamptz(time: datetime) -> tuple[int]:
    """Return a `timestamptz` from a time with an offset."""
    return ((time - _EPOCH) // _MICROSECOND,)


async def register_codec(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Have this connection use the functions above, where the accelerator is on."""
    if not is_on("timestamptz_codec"):
        return
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=encode_timestamptz,
        decoder=decode_timestamptz,
        format="tuple",
    )
