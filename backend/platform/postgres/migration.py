"""Runs migrations, by Alembic; apart, so that a worker, which only compares revisions, need not load it."""

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
    """Bring a database to a revision.

    Safe to run twice at once: a lock lets one go first, and the other finds nothing to do.

    Args:
        address: Parameters, or a URL, of the direct address, with the right to create tables.
        schema: Its migrations are run.
        revision: The one to reach.

    Returns:
        What was found and done, as a sentence.

    Raises:
        ConfigurationError: The address, the role or the database has to be corrected; the text says how.
        DatabaseUnavailable, DatabaseTimeout: The database does not answer.
        asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: A migration failed; it was rolled back.
    """
    parameters = parse_dsn(address) if isinstance(address, str) else address
    before = await _inspect(parameters, schema)
    if before.state is SchemaState.AHEAD:
        return f"The database is ahead, at {before.revision}; this release knows {schema.head_revision}. Nothing to do."
    config = migration_config(schema)
    config.attributes["parameters"] = parameters
    # Alembic is synchronous; its env.py opens an event loop of its own.
    await asyncio.to_thread(command.upgrade, config, revision)
    after = await _inspect(parameters, schema)
    return (
        f"The database is at {after.revision}."
        if before.revision == after.revision
        else f"The database went from {before.revision or 'empty'} to {after.revision}."
    )


def migration_config(schema: ApplicationSchema) -> Config:
    """Return Alembic's configuration for the migrations of a schema."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations).replace("%", "%%"))
    return config


async def _inspect(parameters: ConnectionParameters, wanted: ApplicationSchema) -> DatabaseSchema:
    """Return what the database has, unless no migration can make it fit."""
    schema = await inspect_schema_at(parameters, wanted)
    if schema.migration_defect:
        raise ConfigurationError(schema.migration_defect)
    if schema.foreign_revisions:
        raise ConfigurationError(
            f"alembic_version also has the revision {schema.foreign_revisions[0]!r}, which is not of this release:"
            " give this service a database of its own, or delete that row if nothing else uses it"
        )
    return schema
