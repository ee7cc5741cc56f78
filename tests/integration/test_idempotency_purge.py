"""The purge of expired idempotency keys, on PostgreSQL."""

import asyncio
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from backend.platform.postgres import idempotency_purge
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.idempotency_purge import BATCH_SIZE, PURGE_KEYS, purge
from backend.platform.postgres.transaction import transaction
from tests.support.waiting import timeout

COMMAND = Path(sys.executable).with_name("task-service")
EXPIRED = 2 * BATCH_SIZE + 1
KEYS = """
    INSERT INTO users (id, name, email) SELECT 'user-' || n, '', n || '@example.com' FROM generate_series(0, 9) AS n;
    INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, created_at)
    SELECT 'user-' || n % 10, 'key-' || n, 'fingerprint', '{}', now() - interval '24 hours 1 minute' + n * 7919 % $EXPIRED * interval '1 ms'
    FROM generate_series(1, $EXPIRED) AS n;
    INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, created_at)
    SELECT 'user-0', 'current-' || n, 'fingerprint', '{}', now() - interval '23 hours' FROM generate_series(1, 7) AS n;
""".replace("$EXPIRED", str(EXPIRED))


@pytest.fixture
async def url(database_url: str) -> str:
    """A database with expired keys of three batches, and seven current keys."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(KEYS)
    await connection.close()
    return database_url


async def run(url: str, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "purge-idempotency-keys",
        *arguments,
        env=os.environ | {"DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, error = await process.communicate()
    return process.returncode, said.decode(), error.decode()


async def test_command_deletes_the_expired_keys_of_all_users_and_no_other(url: str) -> None:
    code, said, error = await run(url)
    assert (code, error) == (0, "")
    assert said.startswith(f"Deleted {EXPIRED} expired idempotency keys in ")
    connection = await asyncpg.connect(url)
    keys = await connection.fetch("SELECT key FROM idempotency_keys")
    await connection.close()
    assert {row["key"] for row in keys} == {f"current-{number}" for number in range(1, 8)}


async def test_command_ends_with_a_sentence_if_the_database_is_unreachable() -> None:
    # No server listens on port 9 (discard).
    assert await run("postgresql://alice:hunter2@127.0.0.1:9/tasks", "--timeout", "0") == (
        1,
        "",
        "task-service: Timed out. The purge was interrupted (ConnectionRefusedError) after 0 deleted keys.\n",
    )


async def test_command_ends_with_a_sentence_before_the_first_migration(empty_database_url: str) -> None:
    code, said, error = await run(empty_database_url)
    assert (code, said) == (2, "")
    assert "run `task-service migrate`" in error


async def test_batch_gives_up_before_a_request_that_waits_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request deletes its user's expired keys in another order than the purge."""
    monkeypatch.setattr(idempotency_purge, "_RETRY_SECONDS", 0.1)
    interrupted: asyncio.Queue[str] = asyncio.Queue()
    request = await asyncpg.connect(url)
    try:
        async with timeout(30), request.transaction():
            await request.execute("DELETE FROM idempotency_keys WHERE key = $1", f"key-{EXPIRED}")
            purging = asyncio.create_task(
                purge(parse_dsn(url), timeout_seconds=60, report=interrupted.put_nowait)
            )
            said = await interrupted.get()
            # The purge has released its locks on the other keys, also that of the interrupted batch.
            status = await request.execute("DELETE FROM idempotency_keys WHERE user_id = 'user-1'")
    finally:
        await request.close()
    assert re.fullmatch(
        r"The purge was interrupted \(LockNotAvailableError\) after \d+ deleted keys\. Retrying\.", said
    )
    others = EXPIRED - int(status.removeprefix("DELETE ")) - 1
    assert (await purging).startswith(f"Deleted {others} expired idempotency keys in ")


async def test_few_expired_keys_are_found_by_the_index(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO users (id, name, email) SELECT n::text, '', n::text FROM generate_series(0, 999) AS n"
        )
        await connection.execute(
            "INSERT INTO idempotency_keys SELECT (n % 1000)::text, n::text, 'f', decode(repeat('00', 400), 'hex'),"
            " now() - interval '24 hours 10 seconds' + n * interval '1 s' FROM generate_series(1, 5000) AS n"
        )
        await connection.execute("VACUUM ANALYZE idempotency_keys")
        async with transaction(connection, idempotency_purge._BEGIN):
            plan = await connection.fetch(
                f"EXPLAIN {PURGE_KEYS.sql}",
                *PURGE_KEYS.arguments({"since": datetime(1970, 1, 1, tzinfo=UTC)}),
            )
    finally:
        await connection.close()
    text = "\n".join(row[0] for row in plan)
    assert "Bitmap Index Scan on ix_idempotency_keys_created_at" in text, text
