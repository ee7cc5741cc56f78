"""Begins a transaction on a chosen shard of a router (SPQR), while another shard is unavailable.

SPQR prepares a statement that is new to a connection on any shard, also on an unavailable one. Within a transaction
it uses the shard of the first statement, so that the failure of one shard does not reach the users of the others.
"""

from __future__ import annotations

import re
from typing import Final

import asyncpg

__all__ = ["begin_on_shard", "is_pinnable", "is_shard_unavailable"]

_TABLE: Final = "idempotency_keys"

_OTHER_KEYS: Final = 32
"""Values without a meaning, to find a shard that answers: of two shards, each has some of them."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._@:-]{1,255}")
"""User ids that need no escaping. The router must compute the hash of the same text as for a parameter."""


def is_shard_unavailable(error: BaseException) -> bool:
    """Return whether the router could not use a shard, before it executed the statement."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == "SPQRD"


def is_pinnable(user_id: str | None) -> bool:
    """Return whether `begin_on_shard` can be used: for any shard, or for the user's."""
    return user_id is None or _PLAIN.fullmatch(user_id) is not None


async def begin_on_shard(connection: asyncpg.Connection[asyncpg.Record], user_id: str | None) -> None:
    """Begin a transaction on the shard of a user, or for None on any shard that answers.

    Args:
        connection: Connection without a transaction.
        user_id: A user for which `is_pinnable`.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: The user's shard is unavailable; for None, every shard is.
    """
    keys = [user_id] if user_id is not None else [str(number) for number in range(_OTHER_KEYS)]
    for key in keys:
        await connection.execute("BEGIN")
        try:
            # Without a parameter: the router does not prepare it.
            await connection.execute(f"SELECT 1 FROM {_TABLE} WHERE user_id = '{key}' LIMIT 1")  # noqa: S608 - _PLAIN
        except asyncpg.PostgresError as error:
            await connection.execute("ROLLBACK")
            if key == keys[-1] or not is_shard_unavailable(error):
                raise
        else:
            return
