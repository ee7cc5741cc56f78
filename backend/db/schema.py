"""The schema's revision: what the code wants, what the database has, and how the two compare."""

import re
from enum import StrEnum
from functools import cache
from pathlib import Path

import asyncpg

from backend.db.address import parse_address
from backend.db.statement import Connection

__all__ = ["SchemaState", "code_revision", "database_revision", "revision_at", "schema_state"]

_IDENTIFIER = re.compile(r"""^(revision|down_revision)(?:: [^=]+)? = ["'](\w+)["']""", re.MULTILINE)


class SchemaState(StrEnum):
    """How the database's schema stands to the code's."""

    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    """At a revision that this code does not know: a later release made it, and it still serves this one."""


def code_revision() -> str:
    """Return the newest revision that this code knows."""
    return (_revisions().keys() - _revisions().values()).pop()


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
    return SchemaState.BEHIND if revision is None or revision in _revisions() else SchemaState.AHEAD


@cache
def _revisions() -> dict[str, str | None]:
    """Return the one before each revision that this code knows, read from the scripts as Alembic's template writes them."""
    revisions: dict[str, str | None] = {}
    for script in (Path(__file__).parent / "migrations/versions").glob("*.py"):
        named = dict(_IDENTIFIER.findall(script.read_text()))
        revisions[named["revision"]] = named.get("down_revision")
    return revisions
