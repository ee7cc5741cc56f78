"""`migrate` and `purge-idempotency-keys` on the databases of DATABASE_SHARD_URLS."""

import asyncio

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from backend.cli import app
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.idempotency_purge import PurgeTimeout
from backend.platform.postgres.rollout import SchemaWaitTimeout

AWAY = "postgresql://alice:hunter2@127.0.0.1:1/tasks?sslmode=disable"
INSERT_TASK = "INSERT INTO tasks (user_id, title) VALUES ('alice', 'Buy milk') RETURNING id"
INSERT_KEY = """
    INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, created_at)
    VALUES ('alice', 'k', '', '', now() - interval '25 hours')
"""


async def run(monkeypatch: pytest.MonkeyPatch, command: str, *urls: str) -> Result:
    monkeypatch.setenv("DATABASE_URL", urls[0])
    monkeypatch.setenv("DATABASE_SHARD_URLS", ",".join(urls))
    # In a thread: a command has an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, app, [command, "--timeout", "0"])


async def query(url: str, *statements: str) -> list[int]:
    """Return the first value of each statement."""
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchval(statement) for statement in statements]
    finally:
        await connection.close()


async def register(url: str) -> None:
    await query(url, "INSERT INTO users (id, name, email) VALUES ('alice', '', '')")


async def test_ids_of_shards_differ(
    monkeypatch: pytest.MonkeyPatch, database_url: str, empty_database_url: str
) -> None:
    """The first shard is a database that was in use before."""
    await register(database_url)
    assert await query(database_url, INSERT_TASK, INSERT_TASK) == [1, 2]
    for _ in range(2):
        assert (await run(monkeypatch, "migrate", database_url, empty_database_url)).exit_code == 0
    await register(empty_database_url)
    assert await query(database_url, INSERT_TASK, INSERT_TASK) == [1025, 2049]
    assert await query(empty_database_url, INSERT_TASK, INSERT_TASK) == [2, 1026]
    result = await run(monkeypatch, "migrate", empty_database_url, database_url)
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).count("keep the order of DATABASE_SHARD_URLS") == 2


async def test_shard_that_is_away_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch, database_url: str, empty_database_url: str
) -> None:
    result = await run(monkeypatch, "migrate", AWAY, empty_database_url, database_url)
    assert isinstance(result.exception, SchemaWaitTimeout)
    assert str(result.exception).startswith("1 of 3 shards failed. shard 1 (127.0.0.1:1/tasks): Timed out.")
    assert result.output.count("\nshard ") == 2
    assert "hunter2" not in result.output + str(result.exception)
    await register(empty_database_url)
    await query(empty_database_url, INSERT_KEY)
    result = await run(monkeypatch, "purge-idempotency-keys", AWAY, empty_database_url)
    assert isinstance(result.exception, PurgeTimeout)
    assert "Deleted 1 expired idempotency keys" in result.output
    assert await query(empty_database_url, "SELECT count(*) FROM idempotency_keys") == [0]


async def test_locked_table_of_a_shard_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    blocker = await asyncpg.connect(database_url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE tasks IN ROW EXCLUSIVE MODE")
        result = await run(monkeypatch, "migrate", database_url)
    await blocker.close()
    assert isinstance(result.exception, SchemaWaitTimeout)
    assert "The ids could not be changed (LockNotAvailableError)" in str(result.exception)


@pytest.mark.parametrize("command", ["migrate", "purge-idempotency-keys"])
async def test_invalid_url_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    result = await run(monkeypatch, command, AWAY, "postgresql://alice:hun/ter2@db/tasks")
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).startswith("DATABASE_SHARD_URLS, URL 2, cannot be read")
    assert "ter2" not in str(result.exception)
