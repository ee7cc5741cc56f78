"""The statements of the list of tasks, and of everything else that reads or deletes several tasks of one user."""

from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    SmallInteger,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from backend.db.task_fields import COLUMNS
from backend.models.task import DUE, TASKS
from backend.platform.postgres.keyset import directed, is_after
from backend.platform.postgres.statement import CompiledStatement, parameter
from backend.schemas.task_page import SORT_KEYS, Order, Sort

__all__ = ["FILTER_PARAMETERS", "Condition", "ordered_tasks", "search_window", "select_page"]

SCAN_WINDOW_ROWS = 200
"""Rows that a filter scans in list order before it uses an index of its own: about 0.3 ms in PostgreSQL."""

_user_id = parameter("user_id", TASKS.c.user_id.type)
_row_count = parameter("row_count", BigInteger)

Condition = Literal["completed", "filters", "after", "null_keys"]


@cache
def select_page(sort: Sort, order: Order, conditions: frozenset[Condition]) -> CompiledStatement:
    """Return the statement of one page in keyset order, compiled on first use.

    Args:
        sort: The sort key; `id` breaks ties.
        order: Its direction.
        conditions: `completed` for tasks of one status; `filters` if any of `FILTER_PARAMETERS` is not NULL; `after`
            for a page after a keyset; `null_keys` for the tasks without a key (see `SortKey.nullable`).
    """
    rows = ordered_tasks(sort, order, conditions, _row_count)
    return CompiledStatement(
        "select tasks",
        select(*_columns(rows)).order_by(*directed(order, rows.c.sort_key, rows.c.id)).limit(_row_count),
    )


@cache
def search_window(sort: Sort, order: Order, conditions: frozenset[Condition]) -> CompiledStatement:
    """Return the statement that filters only the next 200 tasks, at a low cost for all values.

    Its rows have two columns more than a task: `is_match`, and `window_exhausted`, which is true for the last row of
    a full window. The statement returns that row even if it does not match, because more tasks can follow it.

    Args:
        sort: As for `select_page`.
        order: As for `select_page`.
        conditions: As for `select_page`; the filters are always active.
    """
    # Not a parameter: the generic plan must know the value.
    size: ColumnElement[int] = literal_column(str(SCAN_WINDOW_ROWS))
    rows = ordered_tasks(sort, order, conditions - {"filters"}, size)
    ordering = directed(order, rows.c.sort_key, rows.c.id)
    row_number = func.row_number().over(order_by=ordering).label("row_number")
    window = select(*rows.c, row_number).order_by(*ordering).limit(size).subquery()
    is_last = window.c.row_number == size
    # Only the last row can be returned without a match: the filters are evaluated again for this row only.
    is_match = case((is_last, _matches(window)), else_=true())
    return CompiledStatement(
        "search tasks (window)",
        select(*_columns(window), is_match.label("is_match"), is_last.label("window_exhausted"))
        .where(or_(_matches(window), is_last))
        .order_by(*directed(order, window.c.sort_key, window.c.id))
        .limit(_row_count),
    )


def ordered_tasks(
    sort: Sort, order: Order, conditions: frozenset[Condition], limit: ColumnElement[int]
) -> FromClause:
    """Return the first tasks of a list, each with its `sort_key`; of all tasks, the first ones of each status.

    Each status is one ordered index scan, and the caller's ORDER BY merges both. PostgreSQL plans this only if each part
    has an ORDER BY of its own.
    """
    tasks = select(*COLUMNS, DUE.label("due")).where(TASKS.c.user_id == _user_id).subquery()
    rows = (
        select(*tasks.c, _sort_expression(tasks, sort).label("sort_key"))
        .where(*_conditions(tasks, sort, order, conditions))
        .order_by(*directed(order, _sort_expression(tasks, sort), tasks.c.id))
        .limit(limit)
    )
    if "completed" in conditions:
        return rows.where(tasks.c.completed == parameter("completed", Boolean)).subquery()
    return union_all(*(rows.where(tasks.c.completed == each) for each in (false(), true()))).subquery()


def _columns(tasks: FromClause) -> list[ColumnElement[Any]]:
    return [tasks.c[each.name] for each in COLUMNS]


def _conditions(
    tasks: FromClause, sort: Sort, order: Order, conditions: frozenset[Condition]
) -> list[ColumnElement[bool]]:
    key, null_keys = SORT_KEYS[sort], "null_keys" in conditions
    result: list[ColumnElement[bool]] = []
    if key.nullable:
        expression = _sort_expression(tasks, sort)
        result.append(expression.is_(None) if null_keys else expression.is_not(None))
    if "after" in conditions:
        result.append(is_after(tasks, sort, key, order, null_keys=null_keys))
    if "filters" in conditions:
        result.append(_matches(tasks))
    return result


FILTER_PARAMETERS = {
    "search": parameter("search", Text),
    "priorities": parameter("priorities", ARRAY(SmallInteger)),
    "no_priority": parameter("no_priority", Boolean),
    "tags": parameter("tags", ARRAY(Text)),
    "due_before": parameter("due_before", Text),  # see OPTIONAL_TIME_KEY
    "due_after": parameter("due_after", Text),
    "has_due": parameter("has_due", Boolean),
}
"""The values of the filters. NULL filters nothing; a custom plan leaves such a condition out."""


def _matches(tasks: FromClause) -> ColumnElement[bool]:
    """Return the condition that a task passes all filters."""
    value = FILTER_PARAMETERS
    columns, due = tasks.c, tasks.c.due
    has_priority = columns.priority == func.any(value["priorities"])
    tests: dict[str, ColumnElement[bool]] = {
        "search": or_(columns.title.ilike(value["search"]), columns.description.ilike(value["search"])),
        "priorities": or_(has_priority, and_(value["no_priority"], columns.priority.is_(None))),
        "tags": columns.tags.op("@>", is_comparison=True)(value["tags"]),
        "due_before": due < cast(value["due_before"], DateTime(timezone=True)),
        "due_after": due > cast(value["due_after"], DateTime(timezone=True)),
        "has_due": due.is_not(None) == value["has_due"],
    }
    return and_(*(or_(value[name].is_(None), test) for name, test in tests.items()))


def _sort_expression(tasks: FromClause, sort: Sort) -> ColumnElement[Any]:
    return SORT_KEYS[sort].expression(tasks.c[sort])
