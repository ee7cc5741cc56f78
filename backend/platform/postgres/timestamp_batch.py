"""Accelerator `timestamp_batch`: reads the timestamps of many rows at once; a page has a hundred of them.

PostgreSQL sends a timestamp as eight bytes, the microseconds since 2000. asyncpg converts each with a call and some arithmetic
in Python. Here a statement selects the bytes, and msgspec converts all of them in one call.

Uses no internals: `timestamptz_send` is PostgreSQL's conversion to the binary format, and msgspec documents the conversion
of a number of seconds.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func

from backend.platform.settings.fast_paths import is_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

__all__ = ["read_timestamps", "sent_timestamp"]

# The epoch of PostgreSQL, from which it counts microseconds.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS = 946_684_800
_EXACT_MICROSECONDS = 3_000_000_000_000_000
"""In this range (1904 to 2095) a float of seconds represents every microsecond exactly."""


def sent_timestamp(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the expression that a statement selects instead of a `timestamptz` column that is not NULL.

    Without the accelerator it is the column, which asyncpg reads as a datetime.
    """
    return func.timestamptz_send(column).label(column.name) if is_on("timestamp_batch") else column


def read_timestamps(values: Sequence[Any]) -> Sequence[datetime]:
    """Return the times of values that were selected as `sent_timestamp`, all with or all without the accelerator.

    Raises:
        OverflowError: A time is infinite, or after the year 9999.
    """
    if not values or isinstance(values[0], datetime):
        return values
    microseconds = struct.unpack(f">{len(values)}q", b"".join(values))
    if min(microseconds) > -_EXACT_MICROSECONDS and max(microseconds) < _EXACT_MICROSECONDS:
        seconds = [each / 1_000_000 + _EPOCH_SECONDS for each in microseconds]
        return msgspec.convert(seconds, list[datetime], strict=False)
    return [_EPOCH + timedelta(microseconds=each) for each in microseconds]
