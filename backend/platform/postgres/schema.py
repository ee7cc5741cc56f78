"""The schema that an application needs, and its comparison with the revision of a database."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Table

__all__ = ["ApplicationSchema", "SchemaState"]


@dataclass(frozen=True)
class _Migration:
    down_revisions: tuple[str, ...]
    created_tables: frozenset[str]


class SchemaState(StrEnum):
    """State of a database schema relative to the schema that this release needs."""

    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    """The revision is unknown to this release: a later release has migrated the database. It still serves this release."""


@dataclass(frozen=True)
class ApplicationSchema:
    """The requirements of the application on its database.

    Attributes:
        migrations: Directory of Alembic's `env.py` and `versions`.
        tables: The tables of the application, without `users`, whose columns the frontend can define.
        grants: The privileges that the service's role needs, by table.
    """

    migrations: Path
    tables: Sequence[Table]
    grants: Mapping[str, Sequence[str]]

    @cached_property
    def head_revision(self) -> str:
        """The head revision of the migrations (Alembic)."""
        followed = chain.from_iterable(each.down_revisions for each in self._migrations.values())
        (head,) = self._migrations.keys() - set(followed)
        return head

    def state(self, revision: str | None) -> SchemaState:
        """Compare the revision of a database (None before its first migration) with the head revision."""
        if revision == self.head_revision:
            return SchemaState.CURRENT
        return SchemaState.BEHIND if revision is None or self.has_revision(revision) else SchemaState.AHEAD

    def has_revision(self, revision: str) -> bool:
        """Return whether the migrations contain a revision."""
        return revision in self._migrations

    def tables_created_after(self, revision: str | None) -> frozenset[str]:
        """Return the tables that the migrations after a revision create with `op.create_table`.

        Args:
            revision: Revision of a database. None, or a revision of other migrations, has no later tables.
        """
        if revision is None or not self.has_revision(revision):
            return frozenset()
        applied: set[str] = set()
        pending = [revision]
        while pending:
            applied.add(current := pending.pop())
            pending += self._migrations[current].down_revisions
        return frozenset().union(
            *(each.created_tables for name, each in self._migrations.items() if name not in applied)
        )

    @cached_property
    def _migrations(self) -> dict[str, _Migration]:
        """The migrations by revision. Parsed without Alembic, which would use 9 MiB per worker."""
        migrations: dict[str, _Migration] = {}
        for script in (self.migrations / "versions").glob("*.py"):
            module = ast.parse(script.read_text())
            constants = _revision_constants(module)
            down = constants["down_revision"] or ()
            migrations[constants["revision"]] = _Migration(
                (down,) if isinstance(down, str) else down, _created_tables(module)
            )
        return migrations


def _revision_constants(script: ast.Module) -> dict[str, Any]:
    """Return `revision` and `down_revision` of a migration script, with or without a type annotation."""
    values: dict[str, Any] = {}
    for statement in script.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.expr):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}:
                    values[target.id] = ast.literal_eval(statement.value)
    return values


def _created_tables(script: ast.Module) -> frozenset[str]:
    return frozenset(
        name.value
        for function in script.body
        if isinstance(function, ast.FunctionDef) and function.name == "upgrade"
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "op.create_table" and call.args
        for name in call.args[:1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str)
    )
