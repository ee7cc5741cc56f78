"""Every statement on tasks; each carries `user_id`, so that none can touch another user's rows."""

from functools import cache
from typing import Any, assert_never

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Select,
    Text,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)

from backend.models.task import SORT_KEYS, TASKS
from backend.platform.postgres.statement import Statement
from backend.schemas.task_page import Order, Sort

__all__ = ["COMPLETE", "DELETE", "GET", "INSERT", "UPDATE", "VERSION", "search_window", "select_page"]

SCAN_WINDOW_ROWS = 100
"""How many tasks a search reads before it thinks of an index: some 0.15 ms of PostgreSQL's time."""

_COLUMNS = [
    TASKS.c[name]
    for name in ("id", "user_id", "title", "description", "completed", "created_at", "updated_at")
]
"""In the order of `TaskRow`."""

_COLUMNS_AND_VERSION = [*_COLUMNS, TASKS.c.version]


def _parameter(name: str, type_: Any) -> BindParameter[Any]:
    return bindparam(name, type_=type_, required=True)


_user_id = _parameter("user_id", Text)
_is_the_task = (TASKS.c.user_id == _user_id) & (TASKS.c.id == _parameter("task_id", BigInteger))

_if_match = _parameter("if_match", ARRAY(BigInteger))
_if_none_match = _parameter("if_none_match", ARRAY(BigInteger))
# If-Match and If-None-Match are decided by the statement that writes, so that no other write comes between.
_meets_precondition = (
    or_(_if_match.is_(None), TASKS.c.version == func.any(_if_match))
    & or_(_if_none_match.is_(None), TASKS.c.version != func.all(_if_none_match))
    & ~_parameter("if_none_match_any", Boolean)
)
_touch = {"version": TASKS.c.version + 1, "updated_at": func.now()}


def _set_if_present(name: str, type_: Any) -> ColumnElement[Any]:
    return case((_parameter(f"set_{name}", Boolean), _parameter(name, type_)), else_=TASKS.c[name])


GET = Statement("select task", select(*_COLUMNS_AND_VERSION).where(_is_the_task))

VERSION = Statement("select task version", select(TASKS.c.version).where(_is_the_task))

INSERT = Statement(
    "insert task",
    insert(TASKS)
    .values(
        user_id=_user_id,
        title=_parameter("title", Text),
        description=_parameter("description", Text),
        completed=_parameter("completed", Boolean),
    )
    .returning(*_COLUMNS_AND_VERSION),
)

UPDATE = Statement(
    "update task",
    update(TASKS)
    .where(_is_the_task, _meets_precondition)
    .values(
        title=_set_if_present("title", Text),
        description=_set_if_present("description", Text),
        completed=_set_if_present("completed", Boolean),
        **_touch,
    )
    .returning(*_COLUMNS_AND_VERSION),
)

COMPLETE = Statement(
    "complete task",
    update(TASKS)
    .where(_is_the_task, _meets_precondition)
    .values(completed=~TASKS.c.completed, **_touch)
    .returning(*_COLUMNS_AND_VERSION),
)

DELETE = Statement(
    "delete task", delete(TASKS).where(_is_the_task, _meets_precondition).returning(TASKS.c.id)
)


@cache
def select_page(sort: Sort, order: Order, *, filtered: bool, searching: bool, continued: bool) -> Statement:
    """Return the statement of one page, in keyset order, compiled on first use.

    Args:
        sort: The order's key; `id` breaks ties.
        order: Its direction.
        filtered: Only tasks with the given `completed`.
        searching: Only tasks with the pattern in title or description.
        continued: Only tasks after the position (`after_key`, `after_id`).
    """
    statement = _tasks(sort, order, filtered=filtered, continued=continued)
    if searching:
        statement = statement.where(_has_pattern(TASKS.c))
    return Statement("select tasks", statement.order_by(*_ordering(sort, order)).limit(_row_count))


@cache
def search_window(sort: Sort, order: Order, *, filtered: bool, continued: bool) -> Statement:
    """Return the statement that searches the next 100 tasks only, which costs little whatever the text is.

    Its rows have two columns more than a task: whether it `matches`, and whether the search `ends` here. A row of
    the second kind comes last, matching or not, where there may be more tasks behind it.

    Args:
        sort: As `select_page` takes it, and so the rest.
        order: Its direction.
        filtered: Only tasks with the given `completed`.
        continued: Only tasks after the position.
    """
    ordering = _ordering(sort, order)
    near = (
        _tasks(sort, order, filtered=filtered, continued=continued)
        .add_columns(
            SORT_KEYS[sort].label("sort_key"), func.row_number().over(order_by=ordering).label("place")
        )
        .order_by(*ordering)
        # Not a parameter: the plan that is kept for all values must know it.
        .limit(literal_column(str(SCAN_WINDOW_ROWS)))
        .subquery()
    )
    ends = near.c.place == literal_column(str(SCAN_WINDOW_ROWS))
    # To compare a text costs more than all the rest, and only the last row may be here without having it.
    matches = case((ends, _has_pattern(near.c)), else_=true())
    return Statement(
        "select near tasks",
        select(*(near.c[each.name] for each in _COLUMNS), matches.label("matches"), ends.label("ends"))
        .where(or_(_has_pattern(near.c), ends))
        .order_by(*_directed(order, near.c.sort_key, near.c.id))
        .limit(_row_count),
    )


_row_count = _parameter("row_count", BigInteger)


def _tasks(sort: Sort, order: Order, *, filtered: bool, continued: bool) -> Select[Any]:
    """Return the select of a user's tasks, without order and limit."""
    statement = select(*_COLUMNS).where(TASKS.c.user_id == _user_id)
    if filtered:
        statement = statement.where(TASKS.c.completed == _parameter("completed", Boolean))
    if continued:
        place = tuple_(SORT_KEYS[sort], TASKS.c.id)
        after = tuple_(_after_key(sort), _parameter("after_id", BigInteger))
        statement = statement.where(place > after if order == "asc" else place < after)
    return statement


def _after_key(sort: Sort) -> ColumnElement[Any]:
    match sort:
        case "title":
            return func.lower(_parameter("after_key", Text)).collate("C")
        case "created_at" | "updated_at":
            return _parameter("after_key", DateTime(timezone=True))
        case _:
            assert_never(sort)


def _has_pattern(columns: Any) -> ColumnElement[bool]:
    pattern = _parameter("pattern", Text)
    return or_(columns.title.ilike(pattern), columns.description.ilike(pattern))


def _ordering(sort: Sort, order: Order) -> list[Any]:
    return _directed(order, SORT_KEYS[sort], TASKS.c.id)


def _directed(order: Order, *keys: Any) -> list[Any]:
    return [key.asc() if order == "asc" else key.desc() for key in keys]
