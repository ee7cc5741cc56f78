"""Example data: the same in every run, and only what is missing is added."""

import sys
from typing import override

import pytest

from backend.devtools.seed import _add_missing_tasks
from backend.models.task import VersionedTask
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.statement import Connection
from backend.schemas.task import TaskCreate
from tests.support.fakes import FakeRepository, service_on


class RecordingRepository(FakeRepository):
    """Records who creates which tasks."""

    def __init__(self, row_count: int = 0) -> None:
        super().__init__(row_count=row_count)
        self.created: list[tuple[str, TaskCreate]] = []

    @override
    async def create(
        self, _user: str, new: TaskCreate, connection: Connection | None = None
    ) -> VersionedTask:
        self.created.append((_user, new))
        return await super().create(_user, new, connection)


async def seeded(number: int, tasks: int, existing: int = 0) -> list[tuple[str, TaskCreate]]:
    repository = RecordingRepository(existing)
    added = await _add_missing_tasks(service_on(repository), number, tasks)
    assert added == len(repository.created)
    return repository.created


async def test_each_run_creates_the_same_tasks() -> None:
    first = await seeded(0, 10)
    assert (first, {user for user, _ in first}) == (await seeded(0, 10), {"alice"})
    assert [new for _, new in await seeded(1, 10)] != [new for _, new in first]
    assert {user for user, _ in await seeded(7, 1)} == {"user-8"}


async def test_second_run_adds_only_the_missing_tasks() -> None:
    every = await seeded(0, 10)
    assert await seeded(0, 10, existing=7) == every[7:]
    assert await seeded(0, 10, existing=10) == []
    assert await seeded(0, 10, existing=12) == []


async def test_examples_have_both_states_and_some_no_description() -> None:
    tasks = [new for _, new in await seeded(0, 50)]
    assert {new.completed for new in tasks} == {True, False}
    assert 0 < sum(new.description is None for new in tasks) < 50


async def test_missing_faker_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(ConfigurationError, match=r"needs Faker.*make up"):
        await seeded(0, 1)
