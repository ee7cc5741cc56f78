"""The schema that an application needs, and how the revision of a database compares with it."""

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


class SchemaState(StrEnum):
    """How the schema of a database compares with the one that this release needs."""

    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    """At a revision that this release does not know: a later release migrated it, and it still serves this one."""


@dataclass(frozen=True)
class ApplicationSchema:
    """What the application needs of its database.

    Attributes:
        migrations: Folder of Alembic's `env.py` and `versions`.
        tables: Tables that the application owns. `users` is not among them: its columns may be the frontend's.
        grants: Privileges that the service's role needs, by table.
    """

    migrations: Path
    tables: Sequence[Table]
    grants: Mapping[str, Sequence[str]]

    @cached_property
    def head_revision(self) -> str:
        """The newest revision among the migrations."""
        (head,) = self._down_revisions.keys() - set(chain.from_iterable(self._down_revisions.values()))
        return head

    def state(self, revision: str | None) -> SchemaState:
        """Compare the revision of a database, None before its first migration, with the head revision."""
        if revision == self.head_revision:
            return SchemaState.CURRENT
        return SchemaState.BEHIND if revision is None or self.has_revision(revision) else SchemaState.AHEAD

    def has_revision(self, revision: str) -> bool:
        """Return whether a revision is among the migrations."""
        return revision in self._down_revisions

    @cached_property
    def _down_revisions(self) -> dict[str, tuple[str, ...]]:
        """The revisions before each one, parsed: to load Alembic takes 9 MiB that a worker has no use for."""
        revisions: dict[str, tuple[str, ...]] = {}
        for script in (self.migrations / "versions").glob("*.py"):
            constants = _revision_constants(script.read_text())
            before = constants["down_revision"] or ()
            revisions[constants["revision"]] = (before,) if isinstance(before, str) else before
        return revisions


def _revision_constants(script: str) -> dict[str, Any]:
    """Return the revisions that a script assigns in the way of Alembic's template, with or without a type."""
    values: dict[str, Any] = {}
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.expr):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}:
                    values[target.id] = ast.literal_eval(statement.value)
    return values
