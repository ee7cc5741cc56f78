"""Fields of the API become columns, and rows become fields."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from backend.db.task_fields import COLUMNS, FIELD_BY_COLUMN, column_values, task_row
from backend.models.task import TASKS, TaskRow
from backend.schemas.task import TaskCreate, TaskUpdate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = (1, "alice", "Milk", None, False, NOW, NOW)


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ((None, None, None, None), ("none", None, ())),
        ((3, None, None, None), ("high", None, ())),
        ((None, date(2026, 12, 1), None, None), ("none", "2026-12-01", ())),
        (
            (1, None, datetime(2026, 12, 1, 9, tzinfo=UTC), ["a", "b"]),
            ("low", "2026-12-01T09:00:00Z", ("a", "b")),
        ),
    ],
)
def test_row_becomes_a_task(columns: tuple[Any, ...], fields: tuple[Any, ...]) -> None:
    row = (*PLAIN, *columns, *(None for _ in COLUMNS[len(PLAIN) + len(columns) :]))
    assert task_row(row) == TaskRow(*PLAIN, *fields)
    assert task_row((*row, 7)) == TaskRow(*PLAIN, *fields)  # the version follows


@pytest.mark.parametrize(
    ("due", "day", "instant"),
    [
        (None, None, None),
        ("2026-12-01", "2026-12-01", None),
        ("2026-12-01T09:00:00+01:00", None, "2026-12-01T08:00:00Z"),
    ],
)
def test_due_becomes_one_of_two_columns(due: str | None, day: str | None, instant: str | None) -> None:
    values = column_values(TaskCreate.model_validate({"title": "T", "due": due}).model_dump())
    assert (values["due_date"], values["due_at"]) == (day, instant)
    assert values.keys() == FIELD_BY_COLUMN.keys()


def test_absent_values_become_null() -> None:
    values = column_values(TaskCreate(title="T").model_dump())
    assert [values[name] for name in ("priority", "due_date", "due_at", "tags")] == [None] * 4


def test_every_field_has_a_column() -> None:
    assert set(FIELD_BY_COLUMN.values()) == set(TaskUpdate.model_fields)
    assert set(FIELD_BY_COLUMN) <= set(TASKS.c.keys())
    assert len(COLUMNS) == len(TaskRow.__struct_fields__) + 1  # two columns of `due`
