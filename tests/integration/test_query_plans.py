"""A page costs the same with ten tasks and a million: an ordered index scan without a sort."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, get_args

import asyncpg
import pytest

from backend.db.schema import SCHEMA
from backend.db.task_list_statements import Condition, search_window, select_page
from backend.db.task_statements import GET, INSERT, TOGGLE_COMPLETED, UPDATE
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task_page import Order, Sort
from tests.support.kept_cluster import kept_cluster

pytestmark = pytest.mark.timeout(300)  # a million rows and eight indexes come before the first test

# The small one comes first: at the end of an index PostgreSQL writes without a way down through its levels.
LARGE, SMALL = "user-with-a-million-tasks", "a-user-with-ten-tasks"
PAGE = 51
# A page of 51 rows: three or four levels of an index, then a heap page for each row at the worst.
MOST_PAGES = 51 + 12
# Posting lists of a dozen trigrams at the most, instead of tens of thousands of pages of rows.
MOST_SEARCH_PAGES = 400
CONDITIONS: list[frozenset[Condition]] = [
    frozenset(each) for each in ((), ("completed",), ("after",), ("completed", "after"))
]
VARIANTS = list(product(get_args(Sort), get_args(Order), CONDITIONS))

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
        # 1 % have the priority high, ten tasks medium, 10 % low; half have the tag "common", five tasks "rare".
        """
        INSERT INTO tasks (user_id, title, completed, created_at, updated_at, priority, due_date, due_at, tags)
        SELECT $1, md5(n::text), n % 10 <> 0, now() - n * interval '1 second',
               now() - random_place * interval '1 second',
               CASE WHEN n % 100 = 7 THEN 3 WHEN n % 100000 = 8 THEN 2 WHEN n % 10 = 3 THEN 1 END,
               CASE WHEN n % 3 = 0 THEN date '2000-01-01' + random_place % 20000 END,
               CASE WHEN n % 3 = 1 THEN timestamptz '2000-01-01Z' + random_place % 20000000 * interval '90 s' END,
               CASE WHEN n % 200000 = 9 THEN ARRAY['rare', 'common'] WHEN n % 100 = 1 THEN ARRAY['one percent']
                    WHEN n % 1000 = 2 THEN ARRAY['one in a thousand'] WHEN n % 2 = 0 THEN ARRAY['common', 'tag ' || n % 50] END
        FROM generate_series(1, 1000000) AS n, LATERAL (SELECT ((n::bigint * 7919) % 1000003)::int AS random_place)
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
        await connection.execute("SET jit = off")
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
    parameters = statement._parameters
    await connection.execute(f"SET plan_cache_mode = {mode}")
    rows = await connection.fetch(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement.sql}",
        *(statement._constants.get(name, values.get(name)) for name in parameters),
    )
    plan: dict[str, Any] = json.loads(rows[0][0])[0]["Plan"]
    return plan


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def deep_position(connection: Connection, sort: Sort) -> dict[str, Any]:
    """Return the place of a pending task in the middle of the list."""
    row = await connection.fetchrow(
        "SELECT id, created_at, updated_at, title FROM tasks WHERE user_id = $1 AND title = md5('500000')",
        LARGE,
    )
    assert row is not None
    return {"after_key": row[sort], "after_id": row["id"]}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("sort", "order", "conditions"), VARIANTS)
async def test_page_is_read_in_order_from_an_index(
    large: Connection, sort: Sort, order: Order, conditions: frozenset[Condition], mode: str
) -> None:
    statement = select_page(sort, order, conditions)
    values: dict[str, Any] = {"user_id": LARGE, "row_count": PAGE}
    if "completed" in conditions:
        values["completed"] = False  # the rare ones, between a million others
    if "after" in conditions:
        values |= await deep_position(large, sort)
    plan = await explain(large, statement, mode, **values)
    assert {node["Node Type"] for node in nodes(plan)} <= {"Limit", "Index Scan"}
    assert plan["Actual Rows"] == PAGE
    assert pages(plan) <= MOST_PAGES
    assert all(node.get("Rows Removed by Filter", 0) == 0 for node in nodes(plan))


async def test_one_task_costs_the_same_for_both_users(large: Connection) -> None:
    costs = {}
    for user_id in (LARGE, SMALL):
        task_id = await large.fetchval("SELECT max(id) FROM tasks WHERE user_id = $1", user_id)
        plan = await explain(large, GET, "force_generic_plan", user_id=user_id, task_id=task_id)
        assert plan["Node Type"] == "Index Scan"
        costs[user_id] = pages(plan)
    # With ten tasks the planner may as well read all of them by another index.
    assert costs[LARGE] <= 5
    assert costs[SMALL] <= 20


@pytest.mark.parametrize(
    "statement", [INSERT, UPDATE, TOGGLE_COMPLETED], ids=lambda statement: statement.name
)
async def test_a_write_costs_the_same_for_both_users(large: Connection, statement: CompiledStatement) -> None:
    changed = {"title": "Buy milk", "description": None, "completed": False}
    values = changed | dict.fromkeys(("set_title", "set_description", "set_completed"), True)
    values |= {"required": None, "excluded": None, "if_none_match_any": False}
    costs = {}
    for user_id in (LARGE, SMALL):
        ids = await large.fetch(
            "SELECT id FROM tasks WHERE user_id = $1 ORDER BY md5(id::text) LIMIT 9", user_id
        )
        read = []
        for row in ids:
            transaction = large.transaction()
            await transaction.start()
            values |= {"user_id": user_id, "task_id": row["id"]}
            plan = await explain(large, statement, "force_custom_plan", **values)
            await transaction.rollback()
            assert plan["Actual Rows"] == 1
            read.append(pages(plan))
        costs[user_id] = median(read)
    # Dead tuples of the rollback remain in the indexes and slow down later reads.
    await large.execute("VACUUM (INDEX_CLEANUP ON) tasks")
    print(f"{statement.name}: {costs[LARGE]} pages of a million tasks, {costs[SMALL]} of ten")
    assert costs[LARGE] <= 1.3 * costs[SMALL]


async def test_position_in_the_future_or_past_reads_no_more(large: Connection) -> None:
    statement = select_page("created_at", "desc", frozenset({"after"}))
    for time in (datetime.now(UTC) - timedelta(days=36500), datetime.now(UTC) + timedelta(days=36500)):
        values = {"user_id": LARGE, "row_count": PAGE, "after_key": time, "after_id": 1}
        plan = await explain(large, statement, "force_generic_plan", **values)
        assert pages(plan) <= MOST_PAGES


NEAR_ROWS = 100


@pytest.mark.parametrize("pattern", ["%no such text%", "%a%"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("sort", "order", "conditions"), VARIANTS)
async def test_near_search_reads_the_next_tasks_in_order_and_no_more(
    large: Connection, sort: Sort, order: Order, *, conditions: frozenset[Condition], mode: str, pattern: str
) -> None:
    statement = search_window(sort, order, conditions)
    values: dict[str, Any] = {"user_id": LARGE, "row_count": PAGE, "search": pattern}
    if "completed" in conditions:
        values["completed"] = False
    if "after" in conditions:
        values |= await deep_position(large, sort)
    plan = await explain(large, statement, mode, **values)
    assert {node["Node Type"] for node in nodes(plan)} <= {
        "Limit",
        "Subquery Scan",
        "WindowAgg",
        "Index Scan",
    }
    assert plan["Actual Rows"] == (PAGE if pattern == "%a%" else 1)
    (scan,) = (node for node in nodes(plan) if node["Node Type"] == "Index Scan")
    # A common text ends it as soon as the page is full.
    assert scan["Actual Rows"] <= (PAGE + 20 if pattern == "%a%" else NEAR_ROWS + 1)
    assert pages(plan) <= NEAR_ROWS + 12


RARE, COMMON = f"%{hashlib.md5(b'777777', usedforsecurity=False).hexdigest()[:12]}%", "%a%"


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize(("pattern", "found"), [(RARE, 1), ("%no such text%", 0), (COMMON, PAGE)])
async def test_search_does_not_read_the_whole_history(
    large: Connection, sort: Sort, pattern: str, found: int
) -> None:
    statement = select_page(sort, "desc", frozenset({"search"}))
    values = {"user_id": LARGE, "row_count": PAGE, "search": pattern}
    # As `Database.fetch(custom_plan=True)` asks for.
    plan = await explain(large, statement, "force_custom_plan", **values)
    print(f"search for {pattern} by {sort}: {pages(plan)} pages")
    assert plan["Actual Rows"] == found
    assert pages(plan) <= MOST_SEARCH_PAGES


async def test_a_user_with_few_tasks_is_searched_at_once(large: Connection) -> None:
    statement = select_page("created_at", "desc", frozenset({"search"}))
    values = {"user_id": SMALL, "row_count": PAGE, "search": COMMON}
    plan = await explain(large, statement, "force_custom_plan", **values)
    assert plan["Actual Rows"] == 9  # ten md5 sums, of which one has no "a"
    assert pages(plan) <= 20
