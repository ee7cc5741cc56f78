"""The fast records and the Pydantic models are one and the same contract; so are their limits."""

import json
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from backend.models.task import TaskRow
from backend.platform.http.canonical_int import CANONICAL_INT
from backend.schemas.due import format_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskCreate, TaskResponse, TaskUpdate
from backend.schemas.task_page import TaskPage
from backend.services.task_service import TaskPageRecord

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants naive bounds
tasks = st.builds(
    TaskRow,
    id=st.integers(1, 2**63 - 1),
    user_id=texts,
    title=texts,
    description=st.none() | texts,
    completed=st.booleans(),
    created_at=times,
    updated_at=times,
    priority=st.sampled_from(PRIORITIES),
    due=st.none() | (st.dates() | times).map(format_due),
    tags=st.lists(texts, max_size=3).map(tuple),
)
pages = st.builds(
    TaskPageRecord,
    tasks=st.lists(tasks, max_size=3),
    count=st.integers(0, 200),
    next_cursor=st.none() | texts,
)


IN_ONE_SPELLING: TypeAdapter[int] = TypeAdapter(Annotated[int, CANONICAL_INT])


class StrictTask(TaskResponse):
    model_config = ConfigDict(extra="forbid", strict=True)


class StrictPage(TaskPage):
    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: list[StrictTask]  # type: ignore[assignment]  # the same, stricter


def check(record: msgspec.Struct, model: type[BaseModel]) -> None:
    encoded = msgspec.json.encode(record)
    parsed = model.model_validate_json(encoded)
    assert list(json.loads(encoded)) == list(model.model_fields) == list(record.__struct_fields__)
    assert parsed.model_dump(mode="json") == json.loads(encoded)


@given(tasks)
def test_record_of_a_task_is_the_model(task: TaskRow) -> None:
    check(task, StrictTask)


@given(pages)
def test_record_of_a_page_is_the_model(page: TaskPageRecord) -> None:
    check(page, StrictPage)


@pytest.mark.parametrize("model", [TaskCreate, TaskUpdate])
@pytest.mark.parametrize(
    ("field", "value", "is_good"),
    [
        ("title", "x", True),
        ("title", " " * 300 + "x" * 200 + "\n", True),  # 200 once trimmed
        ("title", "x" * 201, False),
        ("title", "\u3000", False),
        ("title", "a\0b", False),
        ("title", None, False),
        ("title", 1, False),
        ("description", "x" * 10_000, True),
        ("description", "x" * 10_001, False),
        ("description", "", True),
        ("description", "  kept  ", True),
        ("description", None, True),
        ("description", "\0", False),
        ("completed", True, True),
        ("completed", "true", False),
        ("completed", 1, False),
        ("completed", None, False),
    ],
)
def test_create_and_update_have_the_same_limits(
    model: type[BaseModel], field: str, value: object, *, is_good: bool
) -> None:
    body = json.dumps({"title": "T"} | {field: value})
    if is_good:
        kept = getattr(model.model_validate_json(body), field)
        assert kept == (value.strip() if field == "title" and isinstance(value, str) else value)
    else:
        with pytest.raises(ValidationError):
            model.model_validate_json(body)


@given(st.integers(-(2**70), 2**70))
def test_number_in_digits_is_read(number: int) -> None:
    assert IN_ONE_SPELLING.validate_python(str(number)) == number


@given(st.text(max_size=8))
def test_number_has_one_spelling(text: str) -> None:
    try:
        number = IN_ONE_SPELLING.validate_python(text)
    except ValidationError:
        return
    assert text in {str(number), f"-{number}"}  # -0 alone is the second


def test_last_of_repeated_keys_applies() -> None:
    assert TaskCreate.model_validate_json(b'{"title": "One", "title": "Two"}').title == "Two"
