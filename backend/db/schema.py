"""The schema's revision: what the code wants, what the database has, and how the two compare."""

import ast
from enum import StrEnum
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

__all__ = ["SchemaState", "code_revision", "is_known", "schema_state"]


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


def schema_state(revision: str | None) -> SchemaState:
    """Compare a database's revision with the code's."""
    if revision == code_revision():
        return SchemaState.CURRENT
    return SchemaState.BEHIND if revision is None or revision in _revisions() else SchemaState.AHEAD


def is_known(revision: str) -> bool:
    """Tell whether this code has the migration of that revision."""
    return revision in _revisions()


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
