"""The schema's revision: what the code wants, what the database has, and how the two compare."""

import ast
from enum import StrEnum
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import asyncpg

from backend.db.address import parse_address
from backend.db.statement import Connection

__all__ = ["SchemaState", "code_revision", "database_revision", "revision_at", "schema_state"]


class SchemaState(StrEnum):
    """How the database's schema stands to the code's."""

    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    """At a revision that this code does not know: a later release made it, and it still serves this one."""


def code_revision() -> str:
    """Return the newest revision that this code knows."""
    (newest,) = _revisions().keys() - set(chain.from_iterable(_revisions().values()))
    return newest


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
def _revisions() -> dict[str, tuple[str, ...]]:
    """Return those before each revision that this code knows, read from the scripts without running them."""
    revisions: dict[str, tuple[str, ...]] = {}
    for script in (Path(__file__).parent / "migrations/versions").glob("*.py"):
        named = _constants(script.read_text())
        before = named["down_revision"] or ()
        revisions[named["revision"]] = (before,) if isinstance(before, str) else before
    return revisions


def _constants(script: str) -> dict[str, Any]:
    """Return what a script assigns, as Alembic's template does, with or without a type."""
    values: dict[str, Any] = {}
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.expr):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}:
                    values[target.id] = ast.literal_eval(statement.value)
    return values
