"""Runs migrations, by Alembic; apart, so that a worker, which only compares revisions, need not load it."""

import asyncio

from alembic import command
from alembic.config import Config

from backend.config import ConfigurationError
from backend.db.address import parse_address
from backend.db.connection_parameters import ConnectionParameters
from backend.db.schema import SchemaState, code_revision
from backend.db.schema_inspection import DatabaseSchema, inspect_schema_at

__all__ = ["migrate", "migration_config"]


async def migrate(address: ConnectionParameters | str, *, revision: str = "head") -> str:
    """Bring a database to a revision.

    Safe to run twice at once: a lock lets one go first, and the other finds nothing to do.

    Args:
        address: Parameters, or a URL, of the direct address, with the right to create tables.
        revision: The one to reach.

    Returns:
        What was found and done, as a sentence.

    Raises:
        ConfigurationError: The address, the role or the database has to be corrected; the text says how.
        DatabaseUnavailable, DatabaseTimeout: The database does not answer.
        asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: A migration failed; it was rolled back.
    """
    parameters = parse_address(address) if isinstance(address, str) else address
    before = await _inspect(parameters)
    if before.state is SchemaState.AHEAD:
        return f"The database is ahead, at {before.revision}; this release knows {code_revision()}. Nothing to do."
    config = migration_config()
    config.attributes["parameters"] = parameters
    # Alembic is synchronous; its env.py opens an event loop of its own.
    await asyncio.to_thread(command.upgrade, config, revision)
    after = await _inspect(parameters)
    return (
        f"The database is at {after.revision}."
        if before.revision == after.revision
        else f"The database went from {before.revision or 'empty'} to {after.revision}."
    )


def migration_config() -> Config:
    """Return Alembic's configuration of our migrations."""
    config = Config()
    config.set_main_option("script_location", "backend.db:migrations")
    return config


async def _inspect(parameters: ConnectionParameters) -> DatabaseSchema:
    """Return what the database has, unless no migration can make it fit."""
    schema = await inspect_schema_at(parameters)
    if schema.migration_defect:
        raise ConfigurationError(schema.migration_defect)
    if schema.foreign_revisions:
        raise ConfigurationError(
            f"alembic_version also has the revision {schema.foreign_revisions[0]!r}, which is not of this release:"
            " give this service a database of its own, or delete that row if nothing else uses it"
        )
    return schema
