"""Asks the database how its schema stands to the code's, and its pool how it is."""

import asyncio

import asyncpg

from backend.config import Settings
from backend.db.database import Database
from backend.db.schema import SchemaState, code_revision, database_revision, revision_at, schema_state
from backend.observability.metrics import PoolState, set_schema_revision

__all__ = ["is_busy", "pool_state", "probe_schema", "probe_schema_at"]

_CONNECT_SECONDS = 5.0


async def probe_schema(database: Database) -> SchemaState:
    """Return how the schema stands; the metric of it is set on the way.

    Raises:
        DomainError: The database does not answer.
    """
    found = await database.transaction(database_revision)
    set_schema_revision(code_revision(), found)
    return schema_state(found)


async def probe_schema_at(settings: Settings) -> SchemaState | None:
    """Return how the schema stands, asked on a connection of its own; None where the database is away.

    Raises:
        ConfigurationError: The address is not a PostgreSQL URL.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return schema_state(await revision_at(settings.database_address() or ""))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None


def pool_state(database: Database) -> PoolState:
    """Return the pool's connections as they are now."""
    pool = database.pool
    return PoolState(idle=pool.idle_size, used=pool.size - pool.idle_size, limit=pool.max_size)


def is_busy(database: Database) -> bool:
    """Whether every connection that the pool may have runs a statement."""
    state = pool_state(database)
    return state.used >= state.limit
