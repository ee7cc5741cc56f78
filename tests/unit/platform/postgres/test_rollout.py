"""Retries of `migrate` and `wait-for-schema`, without a database and in virtual time."""

import asyncio
from typing import Any
from unittest.mock import Mock

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError, DatabaseUnavailable
from backend.platform.postgres import rollout
from backend.platform.postgres.rollout import (
    MigrationFailed,
    SchemaWaitTimeout,
    migrate_with_retry,
    wait_until_migrated,
)
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_inspection import DatabaseSchema
from tests.support.virtual_time import in_virtual_time

HEAD = SCHEMA.head_revision


def unavailable() -> Exception:
    error = DatabaseUnavailable("The database cannot be used.")
    error.__cause__ = ConnectionRefusedError("postgresql://alice:hunter2@db")
    return error


def in_alembic(cause: Exception) -> Exception:
    """Return the error as SQLAlchemy raises it, around that of its adapter."""
    adapter = RuntimeError("adapter")
    adapter.__cause__ = cause
    return DBAPIError("CREATE TABLE", None, adapter)


class Steps:
    """Replaces the work of an attempt: each call raises or returns the next step, the last one forever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Any) -> None:
        self.steps = list(steps)
        self.said: list[str] = []
        self.calls = 0
        monkeypatch.setattr(rollout, "migrate", self.run)
        monkeypatch.setattr(rollout, "inspect_schema_at", self.run)
        monkeypatch.setattr(rollout, "time", Mock(monotonic=asyncio.get_running_loop().time))

    async def run(self, *_arguments: Any, **_options: Any) -> Any:
        self.calls += 1
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step

    async def migrate(self, timeout_seconds: float = 60) -> str:
        return await migrate_with_retry(
            "postgresql://db/tasks",
            SCHEMA,
            revision="head",
            timeout_seconds=timeout_seconds,
            report=self.said.append,
        )

    async def wait(self, timeout_seconds: float = 60) -> str:
        return await wait_until_migrated(
            "postgresql://db/tasks", SCHEMA, timeout_seconds=timeout_seconds, report=self.said.append
        )


@in_virtual_time
async def test_transient_failures_are_retried_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    locked = in_alembic(asyncpg.LockNotAvailableError("lock timeout"))
    steps = Steps(monkeypatch, unavailable(), locked, "done")
    assert await steps.migrate() == "done"
    assert steps.said == [
        "The database does not answer (ConnectionRefusedError). Retrying.",
        "The migration was interrupted (LockNotAvailableError) and rolled back. Retrying.",
    ]


@in_virtual_time
async def test_retries_end_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, unavailable())
    with pytest.raises(SchemaWaitTimeout, match=r"^Timed out\. The database does not answer"):
        await steps.migrate(timeout_seconds=9)
    assert (steps.calls, asyncio.get_running_loop().time()) == (5, 8)


@in_virtual_time
async def test_time_limit_of_zero_tries_once(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, unavailable())
    with pytest.raises(SchemaWaitTimeout):
        await steps.migrate(timeout_seconds=0)
    assert (steps.calls, steps.said) == (1, [])


@in_virtual_time
async def test_migration_that_would_fail_again_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, in_alembic(asyncpg.DuplicateTableError("relation exists")))
    with pytest.raises(MigrationFailed, match=r"rolled back: relation exists$"):
        await steps.migrate()
    assert steps.calls == 1


@in_virtual_time
async def test_role_without_a_privilege_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = asyncpg.PostgresError.new({"C": "42501", "M": "permission denied for schema public"})
    steps = Steps(monkeypatch, in_alembic(denied))
    with pytest.raises(ConfigurationError, match=r"^permission denied .*docs/operations\.md"):
        await steps.migrate()
    assert steps.calls == 1


@pytest.mark.parametrize("command", [Steps.migrate, Steps.wait])
def test_configuration_error_is_not_retried(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    @in_virtual_time
    async def run() -> None:
        steps = Steps(monkeypatch, ConfigurationError("Correct the URL."))
        with pytest.raises(ConfigurationError, match="Correct the URL"):
            await command(steps)
        assert (steps.calls, steps.said) == (1, [])

    run()


@in_virtual_time
async def test_wait_ends_with_the_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = DatabaseSchema(None, SchemaState.BEHIND)
    current = DatabaseSchema(HEAD, SchemaState.CURRENT)
    steps = Steps(monkeypatch, unavailable(), behind, current)
    expected = f"The database is current. The database is at {HEAD}; this release needs {HEAD}."
    assert await steps.wait() == expected
    assert steps.said == [
        "The database does not answer (ConnectionRefusedError). Retrying.",
        f"The database is at no revision; this release needs {HEAD}. Retrying.",
    ]


@in_virtual_time
async def test_schema_of_a_later_release_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, DatabaseSchema("later", SchemaState.AHEAD))
    assert (await steps.wait(timeout_seconds=0)).startswith(
        "The database is ahead. The database is at later;"
    )


@in_virtual_time
async def test_defect_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, DatabaseSchema(HEAD, SchemaState.CURRENT, missing_grants=("GRANT A",)))
    with pytest.raises(ConfigurationError, match=r"lacks rights.*GRANT A"):
        await steps.wait()


@in_virtual_time
async def test_report_reveals_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, unavailable())
    with pytest.raises(SchemaWaitTimeout) as timeout:
        await steps.wait(timeout_seconds=3)
    assert "hunter2" not in f"{timeout.value} {steps.said}"
