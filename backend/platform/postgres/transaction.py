"""Database transactions, and the run-time settings that limit them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

from backend.platform.postgres.connection import session_settings, settings_statement
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.settings.database import DatabaseSettings

__all__ = ["Begin", "begin_statement", "server_settings", "transaction"]

type Begin = str | Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[object]]

_IDLE_IN_TRANSACTION_MILLISECONDS = 10_000
"""Only the transaction of a hanging worker is idle for as long."""


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection[asyncpg.Record], begin: Begin) -> AsyncIterator[None]:
    """Run the block in a transaction: commit at its end, roll back if it raises.

    `asyncpg.Connection.transaction` replaces the first error by that of a failed rollback, keeps a connection
    whose rollback failed, and needs one more round trip.

    Args:
        connection: Connection that nothing else uses during the block.
        begin: SQL that starts the transaction and may apply settings, in one round trip; or a function that does it.
    """
    try:
        await (connection.execute(begin) if isinstance(begin, str) else begin(connection))
        yield
    except TimeoutError:
        # The caller closes this connection: a rollback on a silent server would wait as long again.
        raise
    except BaseException:
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - after any error the connection must not be reused
            connection.terminate()
        raise
    await connection.execute("COMMIT")


def begin_statement(parameters: ConnectionParameters, settings: DatabaseSettings) -> str:
    """Return the SQL that starts a transaction. A transaction pooler keeps no settings, so it gets them each time.

    A router of shards rejects more than one statement in a message, and sends no setting before it has chosen a shard:
    there the role has the settings (deploy/shards/limits.sql).
    """
    if parameters.pooler != "transaction":
        return "BEGIN;"
    limits = session_settings(parameters, server_settings(settings))
    return "BEGIN;" + settings_statement(limits, is_local=True)


def server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """Return the run-time settings of each session: PostgreSQL's time limits in milliseconds, and the plan mode."""
    return {
        "statement_timeout": str(round(settings.database_statement_timeout_seconds * 1000)),
        "lock_timeout": str(round(settings.database_lock_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MILLISECONDS),
        # Each statement reads one index in one order: a plan for its values would be the same.
        "plan_cache_mode": "force_generic_plan",
    }
