"""Conversion between the fields of the API and the columns of `tasks`, where they differ."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, FromClause

from backend.models.task import TASKS, TaskRow
from backend.platform.postgres.timestamp_batch import read_timestamps, sent_timestamp
from backend.schemas.due import format_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskUpdate

__all__ = ["COLUMNS", "FIELD_BY_COLUMN", "column_values", "sent_columns", "task_row", "task_rows"]

FIELD_BY_COLUMN: Final = {
    column: field
    for field in TaskUpdate.model_fields
    for column in (("due_date", "due_at") if field == "due" else (field,))
}
"""The columns that requests write, each with the field that it stores."""

_FIELDS: Final = TaskRow.__struct_fields__
_CREATED: Final = _FIELDS.index("created_at")
_UPDATED: Final = _CREATED + 1
_PRIORITY: Final = _CREATED + 2

COLUMNS: Final[Sequence[Column[Any]]] = [
    TASKS.c[name] for field in _FIELDS for name in (("due_date", "due_at") if field == "due" else (field,))
]
"""The columns of a task in the order that `task_row` reads."""

_END: Final = len(COLUMNS)
_AFTER: Final = _PRIORITY + 4


def column_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the columns, from all fields of `TaskCreate` or `TaskUpdate`."""
    values = dict(fields)
    due = values.pop("due")
    is_instant = isinstance(due, datetime)
    return values | {
        "priority": PRIORITIES.index(values["priority"] or "none") or None,
        "due_date": None if due is None or is_instant else format_due(due),
        "due_at": format_due(due) if is_instant else None,
        "tags": values["tags"] or None,
    }


def sent_columns(tasks: FromClause) -> list[ColumnElement[Any]]:
    """Return what a statement of many tasks selects for `task_rows`, from a subquery with all of `COLUMNS`."""
    columns: list[ColumnElement[Any]] = [tasks.c[each.name] for each in COLUMNS]
    columns[_CREATED : _UPDATED + 1] = map(sent_timestamp, columns[_CREATED : _UPDATED + 1])
    return columns


def task_row(row: Any) -> TaskRow:
    """Return the task in a row, a record that starts with `COLUMNS`."""
    return _task(row, row[_CREATED], row[_UPDATED])


def task_rows(rows: Sequence[Any]) -> list[TaskRow]:
    """Return the tasks in rows, records that start with `sent_columns`."""
    created = read_timestamps([row[_CREATED] for row in rows])
    updated = read_timestamps([row[_UPDATED] for row in rows])
    return [_task(*each) for each in zip(rows, created, updated, strict=True)]


def _task(row: Any, created_at: datetime, updated_at: datetime) -> TaskRow:
    rank, day, instant, tags = row[_PRIORITY:_AFTER]
    if (
        rank is day is instant is tags is None and _AFTER == _END
    ):  # most tasks; the rest takes four times as long
        return TaskRow(*row[:_CREATED], created_at, updated_at)  # type: ignore[call-arg]  # mypy cannot count the values of a slice
    due: date | None = day or instant
    text = None if due is None else format_due(due)
    fields: list[Any] = [PRIORITIES[rank or 0], text, tuple(tags or ()), *row[_AFTER:_END]]
    return TaskRow(*row[:_CREATED], created_at, updated_at, *fields)  # type: ignore[call-arg]  # a slice, as above
