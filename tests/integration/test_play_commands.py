"""The development commands seed, token and loadtest."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from typer.testing import CliRunner

from tests.support.service import SECRET, RunningService

COMMAND = Path(sys.executable).with_name("task-service")
RUNNER = CliRunner()


async def run(*arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def rows(database_url: str) -> list[tuple[str, int]]:
    connection = await asyncpg.connect(database_url)
    try:
        found = await connection.fetch("SELECT user_id, count(*) FROM tasks GROUP BY 1 ORDER BY 1")
        return [(row[0], row[1]) for row in found]
    finally:
        await connection.close()


async def test_second_seed_adds_only_missing_tasks(database_url: str) -> None:
    first = await run("seed", "--users=2", "--tasks=205", DATABASE_URL=database_url)
    assert first == (0, "2 users with 205 tasks each; 410 tasks added\n")
    assert await rows(database_url) == [("alice", 205), ("bob", 205)]
    again = await run("seed", "--users=2", "--tasks=205", DATABASE_URL=database_url)
    assert again == (0, "2 users with 205 tasks each; 0 tasks added\n")
    more = await run("seed", "--users=3", "--tasks=206", DATABASE_URL=database_url)
    assert more == (0, "3 users with 206 tasks each; 208 tasks added\n")


async def test_load_test_shows_rate_latencies_and_no_errors(service: RunningService) -> None:
    code, said = await run(
        *("loadtest", "--url", service.url, "--duration", "1s", "--clients", "2"),
        BETTER_AUTH_SECRET=SECRET,
        COLUMNS="120",
    )
    assert code == 0, said
    assert "per second" in said
    assert "p99 ms" in said
    assert "none" in said


async def test_load_test_of_an_unreachable_service_fails() -> None:
    code, said = await run("loadtest", "--url=http://127.0.0.1:9", "--duration=1s", COLUMNS="120")
    assert code == 1, said
    assert "ConnectError" in said
