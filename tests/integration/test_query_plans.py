"""A page costs the same with ten tasks and a million: an ordered index scan without a sort."""

from datetime import UTC, datetime, timedelta
from itertools import product
from statistics import median
from typing import Any, get_args

import pytest

from backend.db.task_fields import FIELD_BY_COLUMN
from backend.db.task_list_statements import Condition, search_window, select_page
from backend.db.task_statements import GET, INSERT, TOGGLE_COMPLETED, UPDATE
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task_page import SORT_KEYS, Order, Sort
from tests.support.million_tasks import (
    COMMON,
    LARGE,
    MOST_SEARCH_PAGES,
    PAGE,
    RARE,
    SMALL,
    Connection,
    explain,
    large,
    nodes,
    pages,
)

__all__ = ["large"]

pytestmark = pytest.mark.timeout(300)  # a million rows and eight indexes come before the first test

# A page of 51 rows: three or four levels of an index, then a heap page for each row at the worst.
MOST_PAGES = 51 + 12
CONDITIONS: list[frozenset[Condition]] = [
    frozenset(each) for each in ((), ("completed",), ("after",), ("completed", "after"))
]
VARIANTS = list(product(get_args(Sort), get_args(Order), CONDITIONS))
# A list of all tasks merges a scan of each status: each costs some levels of its index.
SCANS = {"Limit", "Index Scan", "Subquery Scan", "Result", "Merge Append"}


async def deep_position(connection: Connection, sort: Sort) -> dict[str, Any]:
    """Return the place of a pending task in the middle of the list."""
    row = await connection.fetchrow(
        "SELECT id, created_at, updated_at, title, 1 AS priority, '2027-01-01Z' AS due FROM tasks"
        " WHERE user_id = $1 AND title = md5('500000')",
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
    assert {node["Node Type"] for node in nodes(plan)} <= SCANS
    assert plan["Actual Rows"] == PAGE
    assert pages(plan) <= MOST_PAGES
    assert all(node.get("Rows Removed by Filter", 0) == 0 for node in nodes(plan))


@pytest.mark.parametrize("conditions", CONDITIONS)
@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("sort", [sort for sort, key in SORT_KEYS.items() if key.nullable])
async def test_tasks_without_a_sort_key_are_read_in_order_from_an_index(
    large: Connection, sort: Sort, order: Order, conditions: frozenset[Condition]
) -> None:
    statement = select_page(sort, order, conditions | {"null_keys"})
    values: dict[str, Any] = {"user_id": LARGE, "row_count": PAGE, "completed": False, "after_id": 500_000}
    plan = await explain(large, statement, "force_generic_plan", **values)
    assert {node["Node Type"] for node in nodes(plan)} <= SCANS
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
    values: dict[str, Any] = {
        "title": "Buy milk",
        "completed": False,
        "priority": 1,
        "if_none_match_any": False,
    }
    values |= {"due_date": "2026-12-01", "tags": ["home"]}
    values |= {f"set_{field}": True for field in FIELD_BY_COLUMN.values()}
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


NEAR_ROWS = 200


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
        *SCANS,
        "WindowAgg",
    }
    assert plan["Actual Rows"] == (PAGE if pattern == "%a%" else 1)
    scans = [node["Actual Rows"] for node in nodes(plan) if node["Node Type"] == "Index Scan"]
    # A common text ends it as soon as the page is full.
    assert sum(scans) <= (PAGE + 20 if pattern == "%a%" else NEAR_ROWS + 2)
    assert pages(plan) <= NEAR_ROWS + 20


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize(("pattern", "found"), [(RARE, 1), ("%no such text%", 0), (COMMON, PAGE)])
async def test_search_does_not_read_the_whole_history(
    large: Connection, sort: Sort, pattern: str, found: int
) -> None:
    statement = select_page(sort, "desc", frozenset({"filters"}))
    values = {"user_id": LARGE, "row_count": PAGE, "search": pattern}
    # As `Database.fetch(custom_plan=True)` asks for.
    plan = await explain(large, statement, "force_custom_plan", **values)
    print(f"search for {pattern} by {sort}: {pages(plan)} pages")
    # Tasks without a due date or a priority are the second part of their list.
    assert plan["Actual Rows"] == found or (sort in {"due", "priority"} and plan["Actual Rows"] < found)
    # The trigrams, and the tasks of the status, are looked up for each status.
    assert pages(plan) <= 3 * MOST_SEARCH_PAGES


async def test_a_user_with_few_tasks_is_searched_at_once(large: Connection) -> None:
    statement = select_page("created_at", "desc", frozenset({"filters"}))
    values = {"user_id": SMALL, "row_count": PAGE, "search": COMMON}
    plan = await explain(large, statement, "force_custom_plan", **values)
    assert plan["Actual Rows"] == 9  # ten md5 sums, of which one has no "a"
    assert pages(plan) <= 2 * 20  # two statuses
