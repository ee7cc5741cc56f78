"""A database with a user of a million tasks, and the plans of statements on it."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres.custom_plan import CUSTOM_PLAN
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.statement import CompiledStatement
from tests.support.kept_cluster import kept_cluster

__all__ = [
    "COMMON",
    "LARGE",
    "MOST_SEARCH_PAGES",
    "PAGE",
    "RARE",
    "SMALL",
    "Connection",
    "explain",
    "large",
    "nodes",
    "pages",
]

# The small one comes first: at the end of an index PostgreSQL writes without a way down through its levels.
LARGE, SMALL = "user-with-a-million-tasks", "a-user-with-ten-tasks"
PAGE = 51
# Posting lists of a dozen trigrams at the most, instead of tens of thousands of pages of rows.
MOST_SEARCH_PAGES = 400
RARE, COMMON = f"%{hashlib.md5(b'777777', usedforsecurity=False).hexdigest()[:12]}%", "%a%"

type Connection = asyncpg.Connection[asyncpg.Record]


async def write_a_million_tasks(url: str) -> None:
    """Fill an empty database."""
    await migrate(url, SCHEMA)
    connection = await asyncpg.connect(url)
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname LIKE 'ix_%'"
    )
    for index in indexes:  # built afterwards, which takes half the time
        await connection.execute(f"DROP INDEX {index['indexname']}")
    await connection.execute(
        "SET session_replication_role = replica"
    )  # checks no foreign key a million times
    await connection.execute(
        "INSERT INTO users (id, name, email) SELECT id, id, id FROM unnest($1::text[]) AS id",
        [LARGE, SMALL],
    )
    await connection.execute(
        # Nine of ten are completed; each order differs from that of the ids. A third is due on a day, a third at a time.
        # 1 % have the priority high, ten tasks medium, 10 % low. Half have the tag "common", five tasks "rare"; "done" is
        # never pending.
        """
        INSERT INTO tasks (user_id, title, completed, created_at, updated_at, priority, due_date, due_at, tags)
        SELECT $1, md5(n::text), n % 10 <> 0, now() - n * interval '1 second', now() - other * interval '1 second',
            CASE WHEN n % 100000 = 8 THEN 2 WHEN a % 100 = 0 THEN 3 WHEN a % 100 <= 10 THEN 1 END,
            CASE WHEN b % 3 = 0 THEN date '2000-01-01' + other % 20000 END,
            CASE WHEN b % 3 = 1 THEN timestamptz '2000-01-01Z' + other * interval '30 min' END,
            CASE WHEN n % 200000 = 9 THEN ARRAY['rare', 'common'] WHEN n % 10 <> 0 AND c % 100 = 2 THEN ARRAY['done']
                WHEN c % 100 = 1 THEN ARRAY['one percent'] WHEN c % 1000 = 3 THEN ARRAY['one in a thousand']
                WHEN c % 2 = 0 THEN ARRAY['common', 'tag ' || c % 50] END
        FROM generate_series(1, 1000000) AS n,
            LATERAL (SELECT ((n::bigint * 7919) % 1000003)::int, abs(hashint4(n) / 2), abs(hashint4(-n) / 2),
                abs(hashint4(n + 7777777) / 2)) AS random (other, a, b, c)
        """,
        LARGE,
    )
    await connection.execute(
        "INSERT INTO tasks (user_id, title) SELECT $1, md5(n::text) FROM generate_series(1, 10) AS n",
        SMALL,
    )
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE tasks")
    await connection.close()


@pytest.fixture(scope="module")
async def large(
    server_url: str | None, postgres_folder: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Connection]:
    async with contextlib.AsyncExitStack() as stack:
        if server_url is None:
            url = await stack.enter_async_context(
                kept_cluster(postgres_folder / "large", write_a_million_tasks)
            )
        else:
            server, _ = request.getfixturevalue("migrated_server")
            url = await stack.enter_async_context(server.database("template0"))
            await write_a_million_tasks(url)
        connection = await asyncpg.connect(url)
        await connection.execute("SET jit = off; SET max_parallel_workers_per_gather = 0")
        yield connection
        await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def explain(
    connection: Connection, statement: CompiledStatement, mode: str, **values: Any
) -> dict[str, Any]:
    """Run the very SQL as a prepared statement and return the plan that PostgreSQL took."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute("RESET effective_cache_size")
    if mode == "force_custom_plan":
        await connection.execute(CUSTOM_PLAN.replace("SET LOCAL", "SET"))
    rows = await connection.fetch(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement.sql}",
        *statement.arguments(dict.fromkeys(statement.parameters) | values),
    )
    plan: dict[str, Any] = json.loads(rows[0][0])[0]["Plan"]
    return plan


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
