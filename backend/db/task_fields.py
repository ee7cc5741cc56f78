"""Conversion between the fields of the API and the columns of `tasks`, where they differ."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Column

from backend.models.task import TASKS, TaskRow
from backend.schemas.due import format_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskUpdate

__all__ = ["COLUMNS", "FIELD_BY_COLUMN", "column_values", "task_row"]

FIELD_BY_COLUMN: Final = {
    column: field
    for field in TaskUpdate.model_fields
    for column in (("due_date", "due_at") if field == "due" else (field,))
}
"""The columns that requests write, each with the field that it stores."""

_FIELDS: Final = TaskRow.__struct_fields__
_PRIORITY: Final = _FIELDS.index("priority")

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


def task_row(row: Any) -> TaskRow:
    """Return the task in a row, a record that starts with `COLUMNS`."""
    rank, day, instant, tags = row[_PRIORITY:_AFTER]
    if (
        rank is day is instant is tags is None and _AFTER == _END
    ):  # most tasks; the rest takes four times as long
        return TaskRow(*row[:_PRIORITY])
    due: date | None = day or instant
    text = None if due is None else format_due(due)
    fields: list[Any] = [*row[:_PRIORITY], PRIORITIES[rank or 0], text, tuple(tags or ()), *row[_AFTER:_END]]
    return TaskRow(*fields)
