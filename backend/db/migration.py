"""Runs migrations, by Alembic; apart, so that a worker, which only compares revisions, need not load it."""

import asyncio

from alembic import command
from alembic.config import Config

from backend.db.schema import SchemaState, code_revision, revision_at, schema_state

__all__ = ["migrate", "migration_config"]


async def migrate(url: str, *, revision: str = "head") -> str:
    """Bring a database to a revision.

    Safe to run twice at once: a lock lets one go first, and the other finds nothing to do.

    Args:
        url: The direct address, with the right to create tables.
        revision: The one to reach.

    Returns:
        What was found and done, as a sentence.

    Raises:
        ConfigurationError: The URL cannot be read, or the database is not fit for the tables.
        asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: A migration failed; it was rolled back.
    """
    before = await revision_at(url)
    if schema_state(before) is SchemaState.AHEAD:
        return f"The database is ahead, at {before}; this release knows {code_revision()}. Nothing to do."
    config = migration_config()
    config.attributes["url"] = url
    # Alembic is synchronous; its env.py opens an event loop of its own.
    await asyncio.to_thread(command.upgrade, config, revision)
    after = await revision_at(url)
    return (
        f"The database is at {after}."
        if before == after
        else f"The database went from {before or 'empty'} to {after}."
    )


def migration_config() -> Config:
    """Return Alembic's configuration of our migrations."""
    config = Config()
    config.set_main_option("script_location", "backend.db:migrations")
    return config
