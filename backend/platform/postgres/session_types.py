"""Types that asyncpg has to know on each connection before the first statement."""

from __future__ import annotations

from functools import partial
from typing import Final

import asyncpg

from backend.platform.postgres.connection_parameters import Pooler
from backend.platform.postgres.shard_pin import begin_on_shard
from backend.platform.postgres.timestamptz_codec import register_codec
from backend.platform.postgres.transaction import transaction

__all__ = ["register_types"]

_ARRAY_ELEMENTS: Final = ("int2", "int8", "text")
"""Element types of the arrays in the service's statements."""


async def register_types(connection: asyncpg.Connection[asyncpg.Record], pooler: Pooler) -> None:
    """Register the codec of `timestamptz`, and behind a router of shards the types of arrays.

    asyncpg reads the type of an array from the catalog before the first statement that has one. Within a transaction the
    router sends that query to any shard, and every statement after it to the same one, which may not be the user's.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: No shard answers.
    """
    try:
        if pooler == "spqr":
            async with transaction(connection, partial(begin_on_shard, user_id=None)):
                await register_codec(connection)  # first: it makes asyncpg forget the types of arrays
                arrays = (f"${number}::{name}[]" for number, name in enumerate(_ARRAY_ELEMENTS, 1))
                await connection.prepare(f"SELECT {', '.join(arrays)}")
        else:
            await register_codec(connection)
    except BaseException:
        connection.terminate()
        raise
