"""Cursors come back as they were given, and any other is refused."""

import base64
from datetime import UTC, date, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.models.task import TASKS, TaskRow
from backend.platform.errors import InvalidInput
from backend.platform.postgres import cursor as cursors
from backend.platform.postgres.list_query import Keyset
from backend.schemas.due import due_key, format_due, parse_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task_page import SORT_KEYS, Order, Sort, Status, TaskQuery

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants naive bounds
tasks = st.builds(
    TaskRow,
    id=st.integers(1, 2**63 - 1),
    user_id=texts,
    title=texts,
    description=st.none(),
    completed=st.booleans(),
    created_at=times,
    updated_at=times,
    priority=st.sampled_from(PRIORITIES),
    due=st.none()
    | (st.dates(date(1970, 1, 1)) | times.filter(lambda time: time.year >= 1970)).map(format_due),
)
queries = st.builds(
    TaskQuery,
    status=st.sampled_from(get_args(Status)),
    search=st.none() | texts,
    sort=st.sampled_from(get_args(Sort)),
    order=st.none() | st.sampled_from(get_args(Order)),
)
TASK = TaskRow(
    id=7,
    user_id="alice",
    title="Milk",
    description=None,
    completed=False,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 2, tzinfo=UTC),
)


def encode_cursor(task: TaskRow, user_id: str, query: TaskQuery) -> str:
    last = Keyset(getattr(task, query.sort), task.id)
    return cursors.encode_cursor(last, SORT_KEYS[query.sort], user_id, query.scope)


def decode_cursor(cursor: str, user_id: str, query: TaskQuery) -> Keyset:
    return cursors.decode_cursor(cursor, SORT_KEYS[query.sort], user_id, query.scope)


def sort_value(task: TaskRow, sort: str) -> Any:
    """Return the value that the statement compares."""
    value = getattr(task, sort)
    if sort == "due":
        return None if value is None else due_key(parse_due(value)).isoformat()
    return PRIORITIES.index(value) or None if sort == "priority" else value


def microseconds(time: datetime) -> int:
    return (
        (time - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000_000
        + ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000_000
        + time.microsecond
    )


@given(tasks, texts, queries)
def test_cursor_names_the_task_that_it_was_made_of(task: TaskRow, user_id: str, query: TaskQuery) -> None:
    cursor = encode_cursor(task, user_id, query)
    assert len(cursor) <= 2048
    assert cursor.isascii()
    value = sort_value(task, query.sort)
    assert decode_cursor(cursor, user_id, query) == Keyset(value, task.id)
    payload = base64.urlsafe_b64decode(cursor + "==")[8:]
    if query.sort == "due" and value is not None:
        value = datetime.fromisoformat(value)
    key = microseconds(value) if isinstance(value, datetime) else value
    assert msgspec.msgpack.decode(payload) == [key, task.id]


def test_every_sort_has_a_column_to_order_by() -> None:
    assert get_args(Sort) == tuple(SORT_KEYS)
    assert set(SORT_KEYS) <= {"due", *TASKS.c.keys()} & set(TaskRow.__struct_fields__)


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        *(("title", 1), ("title", None), ("created_at", "text"), ("created_at", 2**62), ("created_at", None)),
        *(("due", "2026-12-01"), ("due", 2**62), ("priority", "high"), ("priority", 0), ("priority", 4)),
    ],
)
def test_key_of_another_type_is_refused(sort: str, key: Any) -> None:
    """A forged cursor with a valid checksum is rejected before it reaches the database."""
    query = TaskQuery(sort=sort)
    payload = msgspec.msgpack.encode([key, 7])
    forged = cursors._checksum(payload, "alice", query.scope) + payload
    with pytest.raises(InvalidInput):
        decode_cursor(base64.urlsafe_b64encode(forged).rstrip(b"=").decode(), "alice", query)


@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    cursor = encode_cursor(TASK, "alice", TaskQuery())
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters().filter(lambda character: character != cursor[place]))
    with pytest.raises(InvalidInput):
        decode_cursor(cursor[:place] + other + cursor[place + 1 :], "alice", TaskQuery())


@given(
    st.text(max_size=100) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(cursor, "alice", TaskQuery())


@pytest.mark.parametrize(
    ("user_id", "query"),
    [
        ("bob", {}),
        ("alice", {"status": "pending"}),
        ("alice", {"search": "milk"}),
        ("alice", {"sort": "updated_at"}),
        ("alice", {"sort": "title", "order": "desc"}),
        ("alice", {"order": "asc"}),
        ("alice", {"priority": ["none"]}),
        ("alice", {"tag": ["home"]}),
        ("alice", {"due_before": "2026-12-01"}),
        ("alice", {"has_due": "false"}),
    ],
)
def test_cursor_of_another_list_is_refused(user_id: str, query: dict[str, Any]) -> None:
    cursor = encode_cursor(TASK, "alice", TaskQuery())
    with pytest.raises(InvalidInput) as refusal:
        decode_cursor(cursor, user_id, TaskQuery.model_validate(query))
    assert refusal.value.errors[0].pointer == "/query/cursor"


def test_page_size_may_change_between_pages() -> None:
    cursor = encode_cursor(TASK, "alice", TaskQuery(limit=2))
    assert decode_cursor(cursor, "alice", TaskQuery(limit=100)).id == TASK.id


def test_each_filter_has_cursors_of_its_own() -> None:
    queries = [
        {"due_before": "2026-12-01T00:00:00Z"},
        {"due_after": "2026-12-01T00:00:00Z"},
        {"has_due": "true"},
        {"has_due": "false"},
        {"priority": ["low"]},
        {"priority": ["low", "none"]},
        {"tag": ["low"]},
    ]
    cursors_of = {encode_cursor(TASK, "alice", TaskQuery.model_validate(query)) for query in queries}
    assert len(cursors_of) == len(queries)


def test_cursor_does_not_depend_on_the_order_of_repeated_values() -> None:
    queries = [
        {"tag": ["a", "b"], "priority": ["low", "high"]},
        {"tag": ["b", "a", "a"], "priority": ["high", "low"]},
    ]
    first, second = (encode_cursor(TASK, "alice", TaskQuery.model_validate(query)) for query in queries)
    assert first == second


def test_cursors_of_the_previous_release_are_valid() -> None:
    cursor = "bn_fvW-yHi2SpE1pbGsH"
    assert encode_cursor(TASK, "alice", TaskQuery(search="milk", sort="title")) == cursor
