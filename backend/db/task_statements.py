"""The statements on tasks. Each is restricted to one `user_id`, so that it cannot reach the rows of another user."""

from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)

from backend.models.task import TASKS, TaskRow
from backend.platform.postgres.conditional_write import meets_precondition
from backend.platform.postgres.keyset import directed, is_after
from backend.platform.postgres.statement import CompiledStatement, parameter
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import SORT_KEYS, Filter, Order, Sort

__all__ = [
    "DELETE",
    "GET",
    "INSERT",
    "TOGGLE_COMPLETED",
    "UPDATE",
    "VERSION",
    "Condition",
    "search_window",
    "select_page",
]

SCAN_WINDOW_ROWS = 100
"""Rows that a search scans in list order before it uses the trigram index: about 0.15 ms in PostgreSQL."""

_COLUMNS = [TASKS.c[name] for name in TaskRow.__struct_fields__]
_COLUMNS_AND_VERSION = [*_COLUMNS, TASKS.c.version]

_user_id = parameter("user_id", TASKS.c.user_id.type)
_row_count = parameter("row_count", BigInteger)
_is_the_task = (TASKS.c.user_id == _user_id) & (TASKS.c.id == parameter("task_id", TASKS.c.id.type))
_meets_precondition = meets_precondition(TASKS.c.version)
_touch = {"version": TASKS.c.version + 1, "updated_at": func.now()}


def _value(name: str) -> ColumnElement[Any]:
    return parameter(name, TASKS.c[name].type)


def _set_if_present(name: str) -> ColumnElement[Any]:
    return case((parameter(f"set_{name}", Boolean), _value(name)), else_=TASKS.c[name])


GET = CompiledStatement("select task", select(*_COLUMNS_AND_VERSION).where(_is_the_task))

VERSION = CompiledStatement("select task version", select(TASKS.c.version).where(_is_the_task))

INSERT = CompiledStatement(
    "insert task",
    insert(TASKS)
    .values(user_id=_user_id, **{name: _value(name) for name in TaskCreate.model_fields})
    .returning(*_COLUMNS_AND_VERSION),
)

UPDATE = CompiledStatement(
    "update task",
    update(TASKS)
    .where(_is_the_task, _meets_precondition)
    .values(**{name: _set_if_present(name) for name in TaskUpdate.model_fields}, **_touch)
    .returning(*_COLUMNS_AND_VERSION),
)

TOGGLE_COMPLETED = CompiledStatement(
    "complete task",
    update(TASKS)
    .where(_is_the_task, _meets_precondition)
    .values(completed=~TASKS.c.completed, **_touch)
    .returning(*_COLUMNS_AND_VERSION),
)

DELETE = CompiledStatement(
    "delete task", delete(TASKS).where(_is_the_task, _meets_precondition).returning(TASKS.c.id)
)


Condition = Literal[Filter, "after"]


@cache
def select_page(sort: Sort, order: Order, conditions: frozenset[Condition]) -> CompiledStatement:
    """Return the statement of one page in keyset order, compiled on first use.

    Args:
        sort: The sort key; `id` breaks ties.
        order: Its direction.
        conditions: The active filters, and `after` for a page after a keyset. The statement's parameters are
            the filters by name, `after_key` and `after_id`.
    """
    statement = _tasks(sort, order, conditions)
    if "search" in conditions:
        statement = statement.where(_has_text(TASKS.c))
    return CompiledStatement("select tasks", statement.order_by(*_ordering(sort, order)).limit(_row_count))


@cache
def search_window(sort: Sort, order: Order, conditions: frozenset[Condition]) -> CompiledStatement:
    """Return the statement that searches only the next 100 tasks, at a low cost for every text.

    Its rows have two columns more than a task: `is_match`, and `window_exhausted`, which is true for the last row of
    a full window. The statement returns that row even if it does not match, because more tasks can follow it.

    Args:
        sort: As for `select_page`.
        order: As for `select_page`.
        conditions: As for `select_page`; the search is always active.
    """
    ordering = _ordering(sort, order)
    window = (
        _tasks(sort, order, conditions)
        .add_columns(
            _sort_expression(sort).label("sort_key"),
            func.row_number().over(order_by=ordering).label("row_number"),
        )
        .order_by(*ordering)
        # Not a parameter: the generic plan must know the value.
        .limit(literal_column(str(SCAN_WINDOW_ROWS)))
        .subquery()
    )
    is_last = window.c.row_number == literal_column(str(SCAN_WINDOW_ROWS))
    # Only the last row can be returned without a match: the text is compared again for this row only.
    is_match = case((is_last, _has_text(window.c)), else_=true())
    return CompiledStatement(
        "search tasks (window)",
        select(
            *(window.c[each.name] for each in _COLUMNS),
            is_match.label("is_match"),
            is_last.label("window_exhausted"),
        )
        .where(or_(_has_text(window.c), is_last))
        .order_by(*directed(order, window.c.sort_key, window.c.id))
        .limit(_row_count),
    )


def _tasks(sort: Sort, order: Order, conditions: frozenset[str]) -> Select[Any]:
    """Return the SELECT of a user's tasks, without search, order and limit."""
    statement = select(*_COLUMNS).where(TASKS.c.user_id == _user_id)
    if "completed" in conditions:
        statement = statement.where(TASKS.c.completed == _value("completed"))
    if "after" in conditions:
        statement = statement.where(is_after(TASKS, sort, SORT_KEYS[sort], order))
    return statement


def _has_text(columns: Any) -> ColumnElement[bool]:
    pattern = parameter("search", TASKS.c.title.type)
    return or_(columns.title.ilike(pattern), columns.description.ilike(pattern))


def _sort_expression(sort: Sort) -> ColumnElement[Any]:
    return SORT_KEYS[sort].expression(TASKS.c[sort])


def _ordering(sort: Sort, order: Order) -> list[Any]:
    return directed(order, _sort_expression(sort), TASKS.c.id)
