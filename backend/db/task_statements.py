"""The statements on one task. Each is restricted to one `user_id`, so that it cannot reach the rows of another user."""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, case, cast, delete, func, insert, select, update

from backend.db.task_fields import COLUMNS, FIELD_BY_COLUMN
from backend.models.task import TASKS
from backend.platform.postgres.conditional_write import meets_precondition
from backend.platform.postgres.statement import CompiledStatement, parameter

__all__ = ["DELETE", "GET", "INSERT", "TOGGLE_COMPLETED", "UPDATE", "VERSION"]

_COLUMNS_AND_VERSION = [*COLUMNS, TASKS.c.version]

_user_id = parameter("user_id", TASKS.c.user_id.type)
_is_the_task = (TASKS.c.user_id == _user_id) & (TASKS.c.id == parameter("task_id", TASKS.c.id.type))
_meets_precondition = meets_precondition(TASKS.c.version)
_touch = {"version": TASKS.c.version + 1, "updated_at": func.now()}


def _value(name: str) -> ColumnElement[Any]:
    type_ = TASKS.c[name].type
    # As text: asyncpg sends the last day and the last microsecond of the year 9999 as `infinity`.
    return cast(parameter(name, Text), type_) if FIELD_BY_COLUMN[name] == "due" else parameter(name, type_)


def _set_if_present(column: str, field: str) -> ColumnElement[Any]:
    return case((parameter(f"set_{field}", Boolean), _value(column)), else_=TASKS.c[column])


GET = CompiledStatement("select task", select(*_COLUMNS_AND_VERSION).where(_is_the_task))

VERSION = CompiledStatement("select task version", select(TASKS.c.version).where(_is_the_task))

INSERT = CompiledStatement(
    "insert task",
    insert(TASKS)
    .values(user_id=_user_id, **{column: _value(column) for column in FIELD_BY_COLUMN})
    .returning(*_COLUMNS_AND_VERSION),
)

UPDATE = CompiledStatement(
    "update task",
    update(TASKS)
    .where(_is_the_task, _meets_precondition)
    .values(**{column: _set_if_present(column, field) for column, field in FIELD_BY_COLUMN.items()}, **_touch)
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
