"""The rules of tasks, with a repository in memory instead of PostgreSQL."""

from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import Counter

from backend.errors import UserNotRegistered
from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import (
    DomainError,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidToken,
    PreconditionFailed,
    ResourceNotFound,
)
from backend.platform.postgres.list_query import Keyset, ListQuery
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import TaskQuery
from backend.services.metrics import tasks_completed, tasks_created, tasks_deleted
from backend.services.task_service import TaskService
from tests.support.fakes import FakeRepository, service_on, stored

ALICE = Principal("alice")
NEW = TaskCreate(title="Milk")
ANY = Precondition()
VERSION_9 = Precondition(if_match=(9,))


def count(counter: Counter) -> float:
    return next(iter(counter.collect())).samples[0].value


async def test_registered_user_is_not_written_again() -> None:
    repository = FakeRepository()
    await service_on(repository).create(ALICE, NEW, None)
    assert repository.calls == ["create"]


@pytest.mark.parametrize("key", [None, "a-key"])
async def test_unknown_user_is_written_on_first_use(key: str | None) -> None:
    repository = FakeRepository(registered=False)
    before = count(tasks_created)
    created = await service_on(repository).create(ALICE, NEW, key)
    assert created == stored(1 if key is None else 2)  # a keyed creation is in the transaction of its key
    assert repository.calls == ["create", "ensure_user alice", "create"]
    assert count(tasks_created) == before + 1


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize(
    ("user_id", "error", "calls"),
    [
        ("deleted", InvalidToken, ["create", "ensure_user deleted"]),
        ("refused", UserNotRegistered, ["create", "ensure_user refused", "create"]),
    ],
)
async def test_user_without_a_row_is_refused(
    user_id: str, error: type[DomainError], calls: list[str], key: str | None
) -> None:
    repository = FakeRepository(registered=False)
    before = count(tasks_created)
    with pytest.raises(error):
        await service_on(repository).create(Principal(user_id), NEW, key)
    assert repository.calls == calls
    assert count(tasks_created) == before


async def test_repeated_key_counts_one_task() -> None:
    service = service_on(FakeRepository())
    before = count(tasks_created)
    assert await service.create(ALICE, NEW, "key") == await service.create(ALICE, NEW, "key")
    assert count(tasks_created) == before + 1


async def test_repeated_key_with_another_body_is_rejected() -> None:
    service = service_on(FakeRepository())
    await service.create(ALICE, NEW, "key")
    for other in (TaskCreate(title="milk"), TaskCreate(title="Milk", completed=True)):
        with pytest.raises(IdempotencyKeyReused):
            await service.create(ALICE, other, "key")


async def test_explicit_default_is_the_same_request() -> None:
    service = service_on(FakeRepository())
    first = await service.create(ALICE, NEW, "key")
    again = TaskCreate(title="Milk", description=None, completed=False)
    assert await service.create(ALICE, again, "key") == first


async def test_get_tells_absence_from_another_version() -> None:
    assert await service_on(FakeRepository()).get(ALICE, 1, ANY) == stored()
    with pytest.raises(ResourceNotFound):
        await service_on(FakeRepository(present=False)).get(ALICE, 1, VERSION_9)
    with pytest.raises(PreconditionFailed):
        await service_on(FakeRepository()).get(ALICE, 1, VERSION_9)


WRITES: dict[str, Callable[[TaskService, Precondition], Awaitable[object]]] = {
    "update": lambda service, asked: service.update(ALICE, 1, TaskUpdate(title="T"), asked),
    "complete": lambda service, asked: service.toggle_completed(ALICE, 1, asked),
    "delete": lambda service, asked: service.delete(ALICE, 1, asked),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    ("present", "asked", "error", "looks"),
    [
        (False, ANY, ResourceNotFound, []),  # nothing was asked, so there is nothing to look up
        (False, VERSION_9, ResourceNotFound, ["version"]),
        (True, VERSION_9, PreconditionFailed, ["version"]),
    ],
)
async def test_write_tells_absence_from_another_version(
    write: Callable[[TaskService, Precondition], Awaitable[object]],
    asked: Precondition,
    error: type[DomainError],
    looks: list[str],
    *,
    present: bool,
) -> None:
    repository = FakeRepository(present=present)
    before = count(tasks_completed), count(tasks_deleted)
    with pytest.raises(error):
        await write(service_on(repository), asked)
    assert repository.calls[1:] == looks
    assert (count(tasks_completed), count(tasks_deleted)) == before


async def test_only_a_flip_to_completed_counts() -> None:
    service = service_on(FakeRepository())
    before = count(tasks_completed)
    assert (await service.toggle_completed(ALICE, 1, ANY)).task.completed is True
    assert (await service.toggle_completed(ALICE, 2, ANY)).task.completed is False
    assert count(tasks_completed) == before + 1


async def test_written_task_is_returned_and_deletion_counts() -> None:
    service = service_on(FakeRepository())
    before = count(tasks_deleted)
    assert await service.update(ALICE, 1, TaskUpdate(title="T"), ANY) == stored()
    await service.delete(ALICE, 1, ANY)
    assert count(tasks_deleted) == before + 1


@pytest.mark.parametrize(("row_count", "length", "has_next"), [(0, 0, False), (2, 2, False), (3, 2, True)])
async def test_next_cursor_stands_where_there_is_a_next_page(
    row_count: int, length: int, *, has_next: bool
) -> None:
    repository = FakeRepository(row_count=row_count)
    page = await service_on(repository).list(ALICE, TaskQuery(limit=2))
    assert repository.query == ListQuery({}, "created_at", "desc", None, 3)
    assert (len(page.tasks), page.count, page.next_cursor is not None) == (length, length, has_next)
    if page.next_cursor:
        await service_on(repository).list(ALICE, TaskQuery(limit=2, cursor=page.next_cursor))
        last = page.tasks[-1]
        assert repository.query.after == Keyset(last.created_at, last.id)


async def test_bad_cursor_never_reaches_the_repository() -> None:
    repository = FakeRepository()
    with pytest.raises(InvalidInput):
        await service_on(repository).list(ALICE, TaskQuery(cursor="damaged"))
    assert repository.calls == []
