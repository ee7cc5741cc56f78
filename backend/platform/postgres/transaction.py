"""A transaction: several statements on one connection, committed together or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from backend.platform.settings.database import DatabaseSettings

__all__ = ["server_settings", "transaction"]

_IDLE_IN_TRANSACTION_MILLISECONDS = 10_000
"""A transaction of ours is never idle for as long, unless its worker hangs."""


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection[asyncpg.Record], begin: str) -> AsyncIterator[None]:
    """Commit what the block does; roll back where it raises.

    asyncpg's own block hides the first error behind that of a failing rollback, leaves a
    connection whose rollback failed in use, and takes a round trip more.

    Args:
        connection: Ours alone until the block ends.
        begin: Begins the transaction, and may set what holds in it: one round trip for all.
    """
    try:
        await connection.execute(begin)
        yield
    except TimeoutError:
        # The pool closes this connection: asking a silent server to roll back would take as long again.
        raise
    except BaseException:
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever it was, this connection must not be used again
            connection.terminate()
        raise
    await connection.execute("COMMIT")


def server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """Return the limits that PostgreSQL itself keeps, in its units (milliseconds), and how it is to plan."""
    return {
        "statement_timeout": str(round(settings.database_statement_timeout_seconds * 1000)),
        "lock_timeout": str(round(settings.database_lock_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MILLISECONDS),
        # Each statement is read in one order from one index: to plan it anew for its values would find the same.
        "plan_cache_mode": "force_generic_plan",
    }
