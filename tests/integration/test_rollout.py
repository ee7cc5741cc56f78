"""The commands of a rollout, `migrate` and `wait-for-schema`, with and without failures."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.rollout import (
    MigrationFailed,
    SchemaWaitTimeout,
    migrate_with_retry,
    wait_until_migrated,
)

COMMAND = Path(sys.executable).with_name("task-service")


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def locked(url: str, table: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_wait_ends_when_the_migration_is_done(empty_database_url: str) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(
        wait_until_migrated(empty_database_url, SCHEMA, timeout_seconds=30, report=said.put_nowait)
    )
    assert await said.get() == (
        f"The database is at no revision; this release needs {SCHEMA.head_revision}. Retrying."
    )
    await migrate(empty_database_url, SCHEMA)
    assert await waiting == (
        f"The database is current. The database is at {SCHEMA.head_revision}; this release needs {SCHEMA.head_revision}."
    )


async def test_wait_ends_at_once_if_the_database_is_ahead(database_url: str) -> None:
    await execute(database_url, "UPDATE alembic_version SET version_num = 'of-a-later-release'")
    found = await wait_until_migrated(database_url, SCHEMA, timeout_seconds=0, report=print)
    assert found.startswith("The database is ahead. The database is at of-a-later-release;")


async def test_wait_times_out_if_the_schema_stays_behind(empty_database_url: str) -> None:
    with pytest.raises(
        SchemaWaitTimeout, match=r"^Timed out\. The database is at no revision; this release needs"
    ):
        await wait_until_migrated(empty_database_url, SCHEMA, timeout_seconds=0, report=print)


async def test_wait_for_an_unreachable_database_times_out() -> None:
    said: list[str] = []
    address = "postgresql://alice:hunter2@127.0.0.1:9/tasks"
    with pytest.raises(SchemaWaitTimeout, match=r"^Timed out\. The database does not answer \(Connection"):
        await migrate_with_retry(address, SCHEMA, revision="head", timeout_seconds=2.5, report=said.append)
    assert said
    assert "hunter2" not in said[0]


async def test_migration_blocked_by_a_lock_is_retried(empty_database_url: str) -> None:
    await execute(empty_database_url, "CREATE TABLE users (id text PRIMARY KEY)")
    said: asyncio.Queue[str] = asyncio.Queue()
    async with locked(empty_database_url, "users"):
        trying = asyncio.create_task(
            migrate_with_retry(
                empty_database_url, SCHEMA, revision="head", timeout_seconds=60, report=said.put_nowait
            )
        )
        assert await said.get() == (
            "The migration was interrupted (LockNotAvailableError) and rolled back. Retrying."
        )
    assert "went from empty" in await trying


async def test_migration_that_cannot_succeed_is_not_retried(empty_database_url: str) -> None:
    await execute(empty_database_url, "CREATE TABLE tasks (nothing_of_ours integer)")
    with pytest.raises(MigrationFailed, match='rolled back: relation "tasks" already exists'):
        await migrate_with_retry(
            empty_database_url, SCHEMA, revision="head", timeout_seconds=60, report=print
        )


@pytest.mark.parametrize(
    ("arguments", "url", "error", "sentence"),
    [  # tests/unit/test_command_errors.py has the exit codes
        (
            "migrate --timeout 0",
            "postgresql://alice:hunter2@127.0.0.1:9/tasks",
            SchemaWaitTimeout,
            "Timed out. The database does not answer",
        ),
        ("wait-for-schema --timeout 0", None, SchemaWaitTimeout, "Timed out. The database is at no revision"),
        ("migrate", None, MigrationFailed, ""),
        ("migrate", "mysql://host/tasks", ConfigurationError, "DATABASE_URL"),
    ],
)
async def test_error_tells_the_job_whether_to_retry(
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    arguments: str,
    url: str | None,
    error: type[Exception],
    sentence: str,
) -> None:
    await execute(empty_database_url, "CREATE TABLE tasks (nothing_of_ours integer)")
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", url or empty_database_url)
    # In a thread, because a command runs an event loop of its own.
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments.split())
    assert isinstance(result.exception, error), result.output
    assert result.stdout == ""
    assert str(result.exception).startswith(sentence)
    assert len(str(result.exception).splitlines()) == 1
    assert "hunter2" not in result.output + str(result.exception)


async def test_wait_for_schema_command_prints_the_state(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", database_url)
    passed = await asyncio.to_thread(CliRunner().invoke, app, ["wait-for-schema"])
    assert (passed.exit_code, passed.stderr) == (0, "")
    assert passed.stdout.startswith("The database is current.")


async def test_sigterm_ends_the_wait(empty_database_url: str) -> None:
    environment = {**os.environ, "ENVIRONMENT": "production", "DATABASE_URL": empty_database_url}
    waiting = await asyncio.create_subprocess_exec(
        COMMAND, "wait-for-schema", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert waiting.stderr is not None
    assert b"Retrying" in await waiting.stderr.readline()
    waiting.terminate()
    # Ended by a handler, which is what works in a container; by the kernel it would be -15.
    assert await waiting.wait() == 143
