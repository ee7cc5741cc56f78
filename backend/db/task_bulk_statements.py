"""The statements on many tasks of one user at once, each with a bounded cost."""

from sqlalchemy import ColumnElement, Text, delete, func, literal_column, select, true

from backend.db.task_list_statements import ordered_tasks
from backend.models.task import TASKS
from backend.platform.postgres.statement import CompiledStatement, parameter

__all__ = ["COUNT_TAGS", "DELETE_COMPLETED"]

COUNTED_TASKS = 10_000
COUNTED_TAGS = 1_000
DELETED_TASKS = 1_000

_limit: ColumnElement[int] = literal_column(str(COUNTED_TASKS))
_tasks, _ = ordered_tasks("created_at", "desc", frozenset(), _limit)
_newest = (
    select(_tasks.c.tags, _tasks.c.completed)
    .order_by(_tasks.c.created_at.desc(), _tasks.c.id.desc())
    .limit(_limit)
    .subquery("newest")
)
_uses = select(func.unnest(_newest.c.tags, type_=Text).label("tag"), _newest.c.completed).subquery("uses")
_total = func.count().label("total")

COUNT_TAGS = CompiledStatement(
    "count tags",
    select(_uses.c.tag, func.count().filter(~_uses.c.completed).label("pending"), _total)
    .group_by(_uses.c.tag)
    .order_by(_total.desc(), _uses.c.tag.collate("C"))
    .limit(COUNTED_TAGS),
)

_is_completed = (TASKS.c.user_id == parameter("user_id", Text)) & (TASKS.c.completed == true())
# One more than is deleted shows whether there are more.
_completed = (
    select(TASKS.c.id)
    .where(_is_completed)
    .order_by(TASKS.c.created_at, TASKS.c.id)
    .limit(DELETED_TASKS + 1)
    .cte("found")
)
_deleted = (
    delete(TASKS)
    # Completed is checked again: a concurrent request may have changed it.
    .where(_is_completed, TASKS.c.id.in_(select(_completed.c.id).limit(DELETED_TASKS)))
    .returning(TASKS.c.id)
    .cte("deleted")
)

DELETE_COMPLETED = CompiledStatement(
    "delete completed tasks",
    select(
        select(func.count()).select_from(_deleted).scalar_subquery().label("deleted"),
        (select(func.count()).select_from(_completed).scalar_subquery() > DELETED_TASKS).label("more"),
    ),
)
