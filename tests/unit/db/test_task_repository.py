"""The repository of tasks: which statement runs, with which values, and how rows become tasks."""

from datetime import UTC, datetime
from typing import Any, cast, override

import pytest

from backend.db.task_fields import COLUMNS, column_values
from backend.db.task_list_statements import (
    FILTER_PARAMETERS,
    SET_CUSTOM_PLAN,
    Condition,
    search_window,
    select_page,
)
from backend.db.task_repository import TaskRepository
from backend.models.task import TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.database import Database
from backend.platform.postgres.list_query import Keyset, ListQuery
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import Filter, Sort

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = ("alice", "Milk", None, False, NOW, NOW)
TASK = TaskRow(1, *FIELDS)
NO_VALUES = (None,) * (len(COLUMNS) - 1 - len(FIELDS))  # of the columns of optional fields


class Row(tuple[Any, ...]):
    """A row, with the columns that are read by name at its end."""

    __slots__ = ()

    @override
    def __getitem__(self, key: Any) -> Any:
        position = {"is_match": -2, "window_exhausted": -1, "version": -1}
        return super().__getitem__(position[key] if isinstance(key, str) else key)


def row(number: int = 1, *more: Any) -> Row:
    return Row((number, *FIELDS, *NO_VALUES, *more))


def no_filters_but(**filters: Any) -> dict[str, Any]:
    return dict.fromkeys(FILTER_PARAMETERS) | filters


class FakeDatabase:
    """Returns prepared rows and records the statements."""

    def __init__(self, *results: list[Any]) -> None:
        self.results = list(results)
        self.statements: list[CompiledStatement] = []
        self.values: list[dict[str, Any]] = []
        self.violations: list[str] = []

    def register_violation(self, constraint: str, _error: object) -> None:
        self.violations.append(constraint)

    async def fetch(self, statement: CompiledStatement, **values: Any) -> list[Any]:
        options = {
            name: values.pop(name, None) for name in ("retry_on_disconnect", "custom_plan", "connection")
        }
        assert statement.parameters == values.keys(), "every parameter has a value, and no other"
        self.statements.append(statement)
        self.values.append(values | {name: value for name, value in options.items() if value})
        return self.results.pop(0)


def repository_on(database: FakeDatabase) -> TaskRepository:
    return TaskRepository(cast("Database", database))


def query(*, sort: Sort = "created_at", after: Keyset | None = None, **filters: Any) -> ListQuery[Filter]:
    return ListQuery(cast("dict[Filter, Any]", filters), sort, "desc", after, 2)


def window_row(number: int, *, is_match: bool = True, exhausted: bool = False) -> Row:
    return row(number, is_match, exhausted)


async def test_list_runs_one_statement_and_is_retried_after_a_lost_connection() -> None:
    database = FakeDatabase([row()])
    after = Keyset(NOW, 7)
    assert await repository_on(database).list("alice", query(after=after, completed=True)) == [TASK]
    assert database.statements == [select_page("created_at", "desc", frozenset({"completed", "after"}))]
    assert database.values == [
        {
            "user_id": "alice",
            "row_count": 2,
            "completed": True,
            "after_key": NOW,
            "after_id": 7,
            "retry_on_disconnect": True,
        }
    ]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], []),
        ([window_row(1)], [1]),  # fewer tasks than the window has rows
        ([window_row(2), window_row(1)], [2, 1]),
        ([window_row(2), window_row(1, exhausted=True)], [2, 1]),  # a full page needs no second statement
    ],
)
async def test_search_ends_in_the_window_if_it_decides_the_page(rows: list[Row], found: list[int]) -> None:
    database = FakeDatabase(rows)
    listed = await repository_on(database).list("alice", query(search="milk"))
    assert [task.id for task in listed] == found
    assert database.statements == [search_window("created_at", "desc", frozenset())]


@pytest.mark.parametrize("is_match", [True, False])
async def test_search_beyond_an_exhausted_window_reads_the_page_again(*, is_match: bool) -> None:
    database = FakeDatabase([window_row(9, is_match=is_match, exhausted=True)], [row(9), row()])
    listed = await repository_on(database).list("alice", query(search="milk"))
    assert [task.id for task in listed] == [9, 1]
    assert database.statements[1] is select_page("created_at", "desc", frozenset({"filters"}))
    assert database.values[1]["custom_plan"] is SET_CUSTOM_PLAN


@pytest.mark.parametrize(
    ("text", "pattern"), [("100%", r"%100\%%"), ("a_b", r"%a\_b%"), ("a\\b", r"%a\\b%"), ("milk", "%milk%")]
)
async def test_search_text_is_literal(text: str, pattern: str) -> None:
    database = FakeDatabase([])
    await repository_on(database).list("alice", query(search=text))
    assert database.values[0]["search"] == pattern


@pytest.mark.parametrize(
    ("filters", "values"),
    [
        ({"priority": ["none", "high"]}, {"priorities": [0, 3], "no_priority": True}),
        ({"priority": ["low"]}, {"priorities": [1], "no_priority": False}),
        ({"tag": ["home"], "has_due": True}, {"tags": ["home"], "has_due": True}),
        ({"due_before": "2026-12-01T00:00:00Z"}, {"due_before": "2026-12-01T00:00:00Z"}),
    ],
)
async def test_filters_become_parameters(filters: dict[str, Any], values: dict[str, Any]) -> None:
    database = FakeDatabase([])
    await repository_on(database).list("alice", query(**filters))
    common = {"user_id": "alice", "row_count": 2, "retry_on_disconnect": True}
    assert database.values == [common | no_filters_but(**values)]


@pytest.mark.parametrize(
    ("after", "parts"),
    [
        (None, [set(), {"null_keys"}]),
        (Keyset(3, 7), [{"after"}, {"null_keys"}]),
        (Keyset(None, 7), [{"null_keys", "after"}]),
    ],
)
async def test_tasks_without_the_sort_key_are_the_last_part_of_a_list(
    after: Keyset | None, parts: list[set[Condition]]
) -> None:
    database = FakeDatabase(*[[] for _ in parts[1:]], [row()])
    listed = await repository_on(database).list("alice", query(sort="priority", after=after))
    assert listed == [TASK]
    assert database.statements == [select_page("priority", "desc", frozenset(each)) for each in parts]


async def test_full_page_needs_no_tasks_without_the_sort_key() -> None:
    database = FakeDatabase([row(2), row(1)])
    assert len(await repository_on(database).list("alice", query(sort="due"))) == 2
    assert database.statements == [select_page("due", "desc", frozenset())]


@pytest.mark.parametrize(
    ("sort", "filters", "conditions"),
    [
        ("due", {"has_due": True}, set()),
        ("due", {"has_due": False}, {"null_keys"}),
        ("priority", {"priority": ["high"]}, None),
    ],
)
async def test_filter_of_the_sort_key_reads_one_part(
    sort: Sort, filters: dict[str, Any], conditions: set[Condition] | None
) -> None:
    database = FakeDatabase([])
    assert await repository_on(database).list("alice", query(sort=sort, **filters)) == []
    expected = search_window if conditions is None else select_page
    assert database.statements == [expected(sort, "desc", frozenset(conditions or ()))]


async def test_get_and_version_are_none_without_a_row() -> None:
    repository = repository_on(FakeDatabase([], [], [row(1, 3)], [(3,)]))
    assert (await repository.get("alice", 1), await repository.version("alice", 1)) == (None, None)
    assert await repository.get("alice", 1) == VersionedTask(TASK, 3)
    assert await repository.version("alice", 1) == 3


async def test_create_writes_every_field_and_is_never_repeated() -> None:
    database = FakeDatabase([row(1, 1)])
    new = TaskCreate(title="Milk", completed=True)
    assert await repository_on(database).create("alice", new) == VersionedTask(TASK, 1)
    assert database.values == [{"user_id": "alice", **column_values(new.model_dump())}]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (TaskUpdate(title="T"), {"title"}),
        (TaskUpdate(description=None), {"description"}),
        (TaskUpdate(title="T", completed=False), {"title", "completed"}),
    ],
)
async def test_update_sets_only_the_fields_of_the_change(change: TaskUpdate, fields: set[str]) -> None:
    database = FakeDatabase([])
    precondition = Precondition(if_match=(3,))
    assert await repository_on(database).update("alice", 1, change, precondition) is None
    (values,) = database.values
    assert {name for name in TaskUpdate.model_fields if values[f"set_{name}"]} == fields
    assert (values["if_match"], values["if_none_match"], values["if_none_match_any"]) == ((3,), None, False)


async def test_delete_returns_whether_a_row_was_deleted() -> None:
    repository = repository_on(FakeDatabase([(1,)], []))
    assert [await repository.delete("alice", 1, Precondition()) for _ in range(2)] == [True, False]


def test_foreign_key_to_users_is_registered() -> None:
    database = FakeDatabase()
    repository_on(database)
    assert database.violations == ["tasks_user_id_fkey"]
