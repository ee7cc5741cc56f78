"""A filtered list of a user with a million tasks reads a bounded number of pages, at any selectivity."""

from itertools import product
from typing import Any, get_args

import pytest

from backend.db.task_bulk_statements import COUNT_TAGS, DELETE_COMPLETED
from backend.db.task_list_statements import Condition, search_window, select_page
from backend.schemas.task_page import Sort
from tests.support.million_tasks import (
    LARGE,
    MOST_SEARCH_PAGES,
    PAGE,
    RARE,
    Connection,
    explain,
    large,
    nodes,
    pages,
)

__all__ = ["large"]

pytestmark = pytest.mark.timeout(300)  # a million rows and their indexes come before the first test

# Each filter with its share of the user's tasks, and combinations.
FILTERS: dict[str, dict[str, Any]] = {
    "priority 1 %": {"priorities": [3]},
    "priority of ten tasks": {"priorities": [2]},
    "priority 10 %": {"priorities": [1]},
    "no priority": {"priorities": [0], "no_priority": True},
    "tag 50 %": {"tags": ["common"]},
    "tag 1 %": {"tags": ["one percent"]},
    "tag 0.1 %": {"tags": ["one in a thousand"]},
    "tag of five tasks": {"tags": ["rare"]},
    "tag of no task": {"tags": ["nowhere"]},
    "tag of completed tasks": {"tags": ["done"]},
    "two tags": {"tags": ["common", "rare"]},
    "due 50 %": {"due_before": "2030-01-01T00:00:00Z"},
    "due 0.1 %": {"due_before": "2000-01-20T00:00:00Z"},
    "due in a month": {"due_after": "2020-01-01T00:00:00Z", "due_before": "2020-02-01T00:00:00Z"},
    "due never": {"due_before": "1999-01-01T00:00:00Z"},
    "with a due date": {"has_due": True},
    "two tags that never meet": {"tags": ["done", "one percent"]},
    "two common tags that never meet": {"tags": ["tag 2", "tag 4"]},
    "priority and tag": {"priorities": [1], "tags": ["one percent"]},
    "priority and due": {
        "priorities": [3],
        "due_after": "2020-01-01T00:00:00Z",
        "due_before": "2020-02-01T00:00:00Z",
    },
    "text and priority": {"search": RARE, "priorities": [1]},
}
# Some 8,000 rows at the worst: a value of 1 % of the tasks, with a page of its own for each row. 10 ms on an idle core.
MOST_FILTERED_PAGES = 9_500


@pytest.mark.parametrize("conditions", [frozenset(), frozenset({"completed"})], ids=["all", "pending"])
@pytest.mark.parametrize(
    ("name", "sort"),
    # The repository reads only the tasks without a priority, which is the other part of the list.
    [each for each in product(FILTERS, get_args(Sort)) if each != ("no priority", "priority")],
)
async def test_filter_at_any_selectivity_reads_a_bounded_number_of_pages(
    large: Connection, name: str, sort: Sort, conditions: frozenset[Condition]
) -> None:
    values = {"user_id": LARGE, "row_count": PAGE, "completed": False, **FILTERS[name]}
    window = await explain(large, search_window(sort, "desc", conditions), "force_generic_plan", **values)
    assert pages(window) <= MOST_SEARCH_PAGES
    if window["Actual Rows"] == PAGE:
        return
    plan = await explain(
        large, select_page(sort, "desc", conditions | {"filters"}), "force_custom_plan", **values
    )
    print(f"{name} by {sort}: {pages(plan)} pages")
    assert pages(plan) <= MOST_FILTERED_PAGES


async def test_completed_tasks_are_deleted_without_reading_others(large: Connection) -> None:
    transaction = large.transaction()
    await transaction.start()
    plan = await explain(large, DELETE_COMPLETED, "force_generic_plan", user_id=LARGE)
    await transaction.rollback()
    deleted = sum(node["Actual Rows"] for node in nodes(plan) if node["Node Type"] == "ModifyTable")
    assert deleted == 1000
    assert pages(plan) <= 12_000


async def test_tags_are_counted_among_the_newest_tasks_only(large: Connection) -> None:
    plan = await explain(large, COUNT_TAGS, "force_generic_plan", user_id=LARGE)
    scanned = sum(node["Actual Rows"] for node in nodes(plan) if node["Node Type"] == "Index Scan")
    assert scanned <= 10_002
    assert pages(plan) <= 10_500
