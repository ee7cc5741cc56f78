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
        (head,) = self._down_revisions.keys() - set(chain.from_iterable(self._down_revisions.values()))
        return head

    def state(self, revision: str | None) -> SchemaState:
        """Compare the revision of a database (None before its first migration) with the head revision."""
        if revision == self.head_revision:
            return SchemaState.CURRENT
        return SchemaState.BEHIND if revision is None or self.has_revision(revision) else SchemaState.AHEAD

    def has_revision(self, revision: str) -> bool:
        """Return whether the migrations contain a revision."""
        return revision in self._down_revisions

    @cached_property
    def _down_revisions(self) -> dict[str, tuple[str, ...]]:
        """The down revisions of each revision. Parsed without Alembic, which would use 9 MiB per worker."""
        revisions: dict[str, tuple[str, ...]] = {}
        for script in (self.migrations / "versions").glob("*.py"):
            constants = _revision_constants(script.read_text())
            down = constants["down_revision"] or ()
            revisions[constants["revision"]] = (down,) if isinstance(down, str) else down
        return revisions


def _revision_constants(script: str) -> dict[str, Any]:
    """Return `revision` and `down_revision` of a migration script, with or without a type annotation."""
    values: dict[str, Any] = {}
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.expr):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}:
                    values[target.id] = ast.literal_eval(statement.value)
    return values
