"""Types that asyncpg has to know on each connection before the first statement."""

from __future__ import annotations

from functools import partial
from typing import Final

import asyncpg

from backend.platform.postgres.connection_parameters import Pooler
from backend.platform.postgres.shard_pin import begin_on_shard
from backend.platform.postgres.transaction import transaction

__all__ = ["register_types"]

_ARRAY_ELEMENTS: Final = ("int2", "int8", "text")
"""Element types of the arrays in the service's statements."""


async def register_types(connection: asyncpg.Connection[asyncpg.Record], pooler: Pooler) -> None:
    """Read the types of arrays behind a router of shards; elsewhere asyncpg reads them when it needs them.

    asyncpg reads the type of an array from the catalog before the first statement that has one. Within a transaction the
    router sends that query to any shard, and every statement after it to the same one, which may not be the user's.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: No shard answers.
    """
    if pooler != "spqr":
        return
    arrays = (f"${number}::{name}[]" for number, name in enumerate(_ARRAY_ELEMENTS, 1))
    try:
        async with transaction(connection, partial(begin_on_shard, user_id=None)):
            await connection.prepare(f"SELECT {', '.join(arrays)}")
    except BaseException:
        connection.terminate()
        raise
