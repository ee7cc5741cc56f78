"""Runs migrations with Alembic. Workers compare revisions only and do not import this module."""

import asyncio

from alembic import command
from alembic.config import Config

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.schema import ApplicationSchema, SchemaState
from backend.platform.postgres.schema_inspection import DatabaseSchema, inspect_schema_at

__all__ = ["migrate", "migration_config"]


async def migrate(
    address: ConnectionParameters | str, schema: ApplicationSchema, *, revision: str = "head"
) -> str:
    """Upgrade a database to a revision.

    Concurrent calls are safe: a lock serializes them, and the second one has nothing to do.

    Args:
        address: Connection parameters or URL of a direct connection as a role that may create tables.
        schema: Schema with the migrations.
        revision: Target revision.

    Returns:
        A sentence with the previous and the new revision.

    Raises:
        ConfigurationError: The URL, the role or the database must be corrected; the message says how.
        DatabaseUnavailable, DatabaseTimeout: The database does not answer.
        asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: A migration failed and was rolled back.
    """
    parameters = parse_dsn(address) if isinstance(address, str) else address
    before = await _inspect(parameters, schema)
    if before.state is SchemaState.AHEAD:
        return f"The database is ahead, at {before.revision}; this release needs {schema.head_revision}. Nothing to do."
    config = migration_config(schema)
    config.attributes["parameters"] = parameters
    # Alembic is synchronous; env.py starts its own event loop.
    await asyncio.to_thread(command.upgrade, config, revision)
    after = await _inspect(parameters, schema)
    return (
        f"The database is at {after.revision}."
        if before.revision == after.revision
        else f"The database went from {before.revision or 'empty'} to {after.revision}."
    )


def migration_config(schema: ApplicationSchema) -> Config:
    """Return the Alembic configuration for the migrations of a schema."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations).replace("%", "%%"))
    return config


async def _inspect(parameters: ConnectionParameters, expected: ApplicationSchema) -> DatabaseSchema:
    """Return the current schema.

    Raises:
        ConfigurationError: No migration can make the database fit.
    """
    schema = await inspect_schema_at(parameters, expected)
    if schema.migration_defect:
        raise ConfigurationError(schema.migration_defect)
    if schema.foreign_revisions:
        raise ConfigurationError(
            f"alembic_version also contains the revision {schema.foreign_revisions[0]!r} of another application:"
            " give this service a separate database, or delete that row if no application uses it"
        )
    return schema
