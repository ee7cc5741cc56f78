"""The repository of tasks: which statement runs, with which values, and how rows become tasks."""

from datetime import UTC, datetime
from typing import Any, cast, override

import pytest

from backend.db import task_statements as tasks
from backend.db.task_repository import TaskRepository
from backend.models.task import TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.database import Database
from backend.platform.postgres.list_query import Keyset, ListQuery
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import Filter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = (1, "alice", "Milk", None, False, NOW, NOW)
TASK = TaskRow(*ROW)


class Row(tuple[Any, ...]):
    """A row of a search, with the columns that have a name there."""

    __slots__ = ()

    @override
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(
            {"is_match": -2, "window_exhausted": -1}[key] if isinstance(key, str) else key
        )


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


def query(*, after: Keyset | None = None, **filters: Any) -> ListQuery[Filter]:
    return ListQuery(cast("dict[Filter, Any]", filters), "created_at", "desc", after, 2)


def window_row(number: int, *, is_match: bool = True, exhausted: bool = False) -> Row:
    return Row((number, *ROW[1:], is_match, exhausted))


async def test_list_runs_one_statement_and_is_retried_after_a_lost_connection() -> None:
    database = FakeDatabase([ROW])
    after = Keyset(NOW, 7)
    assert await repository_on(database).list("alice", query(after=after, completed=True)) == [TASK]
    assert database.statements == [tasks.select_page("created_at", "desc", frozenset({"completed", "after"}))]
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
    assert database.statements == [tasks.search_window("created_at", "desc", frozenset({"search"}))]


@pytest.mark.parametrize("is_match", [True, False])
async def test_search_beyond_an_exhausted_window_reads_the_page_again(*, is_match: bool) -> None:
    database = FakeDatabase([window_row(9, is_match=is_match, exhausted=True)], [(9, *ROW[1:]), ROW])
    listed = await repository_on(database).list("alice", query(search="milk"))
    assert [task.id for task in listed] == [9, 1]
    assert database.statements[1] is tasks.select_page("created_at", "desc", frozenset({"search"}))
    assert database.values[1]["custom_plan"] is True


@pytest.mark.parametrize(
    ("text", "pattern"), [("100%", r"%100\%%"), ("a_b", r"%a\_b%"), ("a\\b", r"%a\\b%"), ("milk", "%milk%")]
)
async def test_search_text_is_literal(text: str, pattern: str) -> None:
    database = FakeDatabase([])
    await repository_on(database).list("alice", query(search=text))
    assert database.values[0]["search"] == pattern


async def test_get_and_version_are_none_without_a_row() -> None:
    repository = repository_on(FakeDatabase([], [], [(*ROW, 3)], [(3,)]))
    assert (await repository.get("alice", 1), await repository.version("alice", 1)) == (None, None)
    assert await repository.get("alice", 1) == VersionedTask(TASK, 3)
    assert await repository.version("alice", 1) == 3


async def test_create_writes_every_field_and_is_never_repeated() -> None:
    database = FakeDatabase([(*ROW, 1)])
    new = TaskCreate(title="Milk", completed=True)
    assert await repository_on(database).create("alice", new) == VersionedTask(TASK, 1)
    assert database.values == [{"user_id": "alice", **new.model_dump()}]


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
