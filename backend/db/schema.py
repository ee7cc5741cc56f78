"""The schema's revision: what the code wants, what the database has, and the way from one to the other."""

import asyncio
from enum import StrEnum

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from backend.db.address import parse_address
from backend.db.statement import Connection

__all__ = ["SchemaState", "code_revision", "database_revision", "migrate", "revision_at", "schema_state"]


class SchemaState(StrEnum):
    """How the database's schema stands to the code's."""

    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    """At a revision that this code does not know: a later release made it, and it still serves this one."""


def code_revision() -> str:
    """Return the newest revision that this code knows."""
    return _scripts().get_current_head() or ""


async def database_revision(connection: Connection) -> str | None:
    """Return the database's revision, None before the first migration."""
    if (await connection.fetch("SELECT to_regclass('alembic_version')"))[0][0] is None:
        return None
    rows = await connection.fetch("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


async def revision_at(url: str) -> str | None:
    """Return the revision of the database at this address, asked on a connection of its own.

    Raises:
        ConfigurationError: The URL cannot be read.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: The database does not answer.
    """
    connection = await asyncpg.connect(**parse_address(url).arguments)
    try:
        return await database_revision(connection)
    finally:
        await connection.close(timeout=1.0)


def schema_state(revision: str | None) -> SchemaState:
    """Compare a database's revision with the code's."""
    if revision == code_revision():
        return SchemaState.CURRENT
    known = {script.revision for script in _scripts().walk_revisions()}
    return SchemaState.BEHIND if revision is None or revision in known else SchemaState.AHEAD


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
    config = _config()
    config.attributes["url"] = url
    # Alembic is synchronous; its env.py opens an event loop of its own.
    await asyncio.to_thread(command.upgrade, config, revision)
    after = await revision_at(url)
    return (
        f"The database is at {after}."
        if before == after
        else f"The database went from {before or 'empty'} to {after}."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "backend.db:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
