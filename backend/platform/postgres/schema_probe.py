"""Reads the state of the database schema and of the connection pool."""

from functools import partial

from backend.platform.errors import DatabaseTimeout, DatabaseUnavailable
from backend.platform.observability.metrics import PoolState, set_schema_revision
from backend.platform.postgres.database import Database
from backend.platform.postgres.dsn import service_parameters
from backend.platform.postgres.schema import ApplicationSchema
from backend.platform.postgres.schema_inspection import DatabaseSchema, inspect_schema, inspect_schema_at
from backend.platform.settings.database import DatabaseSettings

__all__ = ["is_saturated", "pool_state", "probe_schema", "probe_schema_at"]


async def probe_schema(
    database: Database, schema: ApplicationSchema, *, may_write_users: bool
) -> DatabaseSchema:
    """Inspect the schema of the database, and publish its revision as a metric.

    Raises:
        DomainError: The database does not respond, or rejects the service.
    """
    found = await database.read_catalog(
        partial(inspect_schema, schema=schema, may_write_users=may_write_users)
    )
    set_schema_revision(schema.head_revision, found.revision)
    return found


async def probe_schema_at(settings: DatabaseSettings, schema: ApplicationSchema) -> DatabaseSchema | None:
    """Inspect the schema over a separate connection. Return None if the database does not respond.

    Raises:
        ConfigurationError: The address, the role or the database is not correct; the message says how to fix it.
    """
    try:
        return await inspect_schema_at(
            service_parameters(settings), schema, may_write_users=settings.may_write_users
        )
    except (DatabaseUnavailable, DatabaseTimeout):
        return None


def pool_state(database: Database) -> PoolState:
    """Return the current number of connections of the pool."""
    pool = database.pool
    return PoolState(idle=pool.idle_size, used=pool.size - pool.idle_size, limit=pool.max_size)


def is_saturated(database: Database) -> bool:
    """Return whether all connections of the pool are in use."""
    state = pool_state(database)
    return state.used >= state.limit
