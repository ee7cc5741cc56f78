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

from backend.db.task_fields import COLUMNS, sent_columns
from backend.models.task import DUE, TASKS
from backend.platform.postgres.custom_plan import CUSTOM_PLAN_SETTINGS
from backend.platform.postgres.keyset import directed, is_after
from backend.platform.postgres.statement import CompiledStatement, parameter
from backend.schemas.task_page import SORT_KEYS, Order, Sort

__all__ = [
    "FILTER_PARAMETERS",
    "SET_CUSTOM_PLAN",
    "Condition",
    "ordered_tasks",
    "search_window",
    "select_page",
]

SCAN_WINDOW_ROWS = 200
"""Rows that a filter scans in list order before it uses an index of its own: about 0.3 ms in PostgreSQL."""

_user_id = parameter("user_id", TASKS.c.user_id.type)
_row_count = parameter("row_count", BigInteger)

SET_CUSTOM_PLAN = CompiledStatement(
    "set custom plan",
    select(
        *(
            func.set_config(name, value, literal_column("true"))
            for name, value in CUSTOM_PLAN_SETTINGS.items()
        )
    )
    .where(TASKS.c.user_id == _user_id)
    .limit(literal_column("1")),
)
"""Plans the user's next statement of the transaction for its values, behind a router of shards.
It sets nothing for a user without tasks, where every plan is as good."""

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
    rows, sort_key = ordered_tasks(sort, order, conditions, _row_count)
    page = select(*sent_columns(rows)).order_by(*directed(order, sort_key, rows.c.id)).limit(_row_count)
    return CompiledStatement("select tasks", page)


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
    rows, sort_key = ordered_tasks(sort, order, conditions - {"filters"}, size, with_due=True)
    ordering = directed(order, sort_key, rows.c.id)
    row_number = func.row_number().over(order_by=ordering).label("row_number")
    window = select(*rows.c, row_number).order_by(*ordering).limit(size).subquery()
    is_last = window.c.row_number == size
    # Only the last row can be returned without a match: the filters are evaluated again for this row only.
    is_match = case((is_last, _matches(window)), else_=true())
    return CompiledStatement(
        "search tasks (window)",
        select(*sent_columns(window), is_match.label("is_match"), is_last.label("window_exhausted"))
        .where(or_(_matches(window), is_last))
        .order_by(*directed(order, window.c[str(sort_key.key)], window.c.id))
        .limit(_row_count),
    )


def ordered_tasks(
    sort: Sort,
    order: Order,
    conditions: frozenset[Condition],
    limit: ColumnElement[int],
    *,
    with_due: bool = False,
) -> tuple[FromClause, ColumnElement[Any]]:
    """Return the first tasks of a list, or of all tasks those of each status, and the column that sorts them.

    Each status is one ordered index scan, and the caller's ORDER BY merges both. PostgreSQL plans this only if each part
    has an ORDER BY of its own. The parts have only the columns that the caller selects: others cost a projection.
    """
    tasks = select(*COLUMNS, DUE.label("due")).where(TASKS.c.user_id == _user_id).subquery()
    key = _sort_key(tasks, sort, conditions)
    columns = [*_columns(tasks), *([tasks.c.due] if with_due else [])]
    is_selected = any(key is column for column in columns)
    rows = (
        select(*columns, *([] if is_selected else [key.label("sort_key")]))
        .where(*_conditions(tasks, sort, order, conditions))
        .order_by(*directed(order, key, tasks.c.id))
        .limit(limit)
    )
    if "completed" in conditions:
        found: FromClause = rows.where(tasks.c.completed == parameter("completed", Boolean)).subquery()
    elif sort == "created_at" and "filters" not in conditions:
        found = rows.subquery()  # this order has an index without the status
    else:
        found = union_all(*(rows.where(tasks.c.completed == each) for each in (false(), true()))).subquery()
    return found, found.c[str(key.key) if is_selected else "sort_key"]


def _columns(tasks: FromClause) -> list[ColumnElement[Any]]:
    return [tasks.c[each.name] for each in COLUMNS]


def _conditions(
    tasks: FromClause, sort: Sort, order: Order, conditions: frozenset[Condition]
) -> list[ColumnElement[bool]]:
    key, null_keys = SORT_KEYS[sort], "null_keys" in conditions
    result: list[ColumnElement[bool]] = []
    if sort == "due":
        result.append(~_is_due(tasks) if null_keys else _is_due(tasks))
    elif key.nullable:
        column = tasks.c[sort]
        result.append(column.is_(None) if null_keys else column.is_not(None))
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
        "due_before": _is_due(tasks) & (due < cast(value["due_before"], DateTime(timezone=True))),
        "due_after": _is_due(tasks) & (due > cast(value["due_after"], DateTime(timezone=True))),
        "has_due": or_(value["has_due"] & _is_due(tasks), ~value["has_due"] & ~_is_due(tasks)),
    }
    return and_(*(or_(value[name].is_(None), test) for name, test in tests.items()))


def _is_due(tasks: FromClause) -> ColumnElement[bool]:
    """Return the condition of the index on the due date; its negation is that of the index without one."""
    return or_(tasks.c.due_date.is_not(None), tasks.c.due_at.is_not(None))


def _sort_key(tasks: FromClause, sort: Sort, conditions: frozenset[Condition]) -> ColumnElement[Any]:
    """Return the expression that sorts the list before the id."""
    if sort == "due" and "null_keys" in conditions:
        return tasks.c.due_date  # NULL, see the index
    return SORT_KEYS[sort].expression(tasks.c[sort])
