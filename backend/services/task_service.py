"""The rules of tasks, without HTTP and SQL."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final, NoReturn

import msgspec

from backend.models.task import TaskRow, VersionedTask
from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import PreconditionFailed, ResourceNotFound
from backend.platform.observability.tracing import service_span
from backend.platform.postgres.cursor import decode_cursor, encode_cursor
from backend.platform.postgres.list_query import Keyset, ListQuery, Order
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import SORT_KEYS, Filter, TaskQuery
from backend.services.metrics import tasks_completed, tasks_created, tasks_deleted
from backend.services.registration import with_user_row
from backend.services.repositories import (
    IdempotencyStoreProtocol,
    TaskRepositoryProtocol,
    UserRepositoryProtocol,
)

__all__ = ["TaskPageRecord", "TaskService"]

_FIRST_FIELDS: Final = {"title", "description", "completed"}
_DUE_TASKS: Final = 1_000
_DUE_ORDERS: Final[tuple[tuple[bool, Order], ...]] = ((False, "asc"), (True, "desc"))


class TaskPageRecord(msgspec.Struct, frozen=True):
    """A page as it is encoded as JSON; the fields are those of `TaskPage`."""

    tasks: list[TaskRow]
    count: int
    next_cursor: str | None


class TaskService:
    """The operations of a user on their tasks.

    Every method takes the owner, and reads and writes only the owner's tasks. The task of another user is not
    found, like a task that does not exist.

    Args:
        repository: The tasks.
        users: The users that tasks reference.
        idempotency: The results of keyed creations.
    """

    def __init__(
        self,
        repository: TaskRepositoryProtocol,
        users: UserRepositoryProtocol,
        idempotency: IdempotencyStoreProtocol,
    ) -> None:
        self._repository = repository
        self._users = users
        self._idempotency = idempotency

    async def list(self, owner: Principal, query: TaskQuery) -> TaskPageRecord:
        """Return one page.

        Raises:
            InvalidInput: The cursor is not a cursor of this list.
        """
        with service_span("list tasks"):
            sort_key, after = SORT_KEYS[query.sort], None
            if query.cursor:
                after = decode_cursor(query.cursor, sort_key, owner.user_id, query.scope)
            # One row more than requested shows whether there is a next page.
            found = await self._repository.list(
                owner.user_id,
                ListQuery(query.filters, query.sort, query.order or "desc", after, query.limit + 1),
            )
            tasks = found[: query.limit]
            next_cursor = None
            if len(found) > query.limit:
                last = Keyset(getattr(tasks[-1], query.sort), tasks[-1].id)
                next_cursor = encode_cursor(last, sort_key, owner.user_id, query.scope)
            return TaskPageRecord(tasks, len(tasks), next_cursor)

    async def due_tasks(self, owner: Principal) -> Sequence[TaskRow]:
        """Return up to 1,000 tasks with a due date: pending ones, earliest first, then completed ones, latest first."""
        with service_span("list due tasks"):
            tasks: Sequence[TaskRow] = []
            for completed, order in _DUE_ORDERS:
                filters: dict[Filter, Any] = {"completed": completed, "has_due": True}
                query = ListQuery(filters, "due", order, None, _DUE_TASKS - len(tasks))
                tasks = [*tasks, *await self._repository.list(owner.user_id, query)]
            return tasks

    async def get(self, owner: Principal, task_id: int, precondition: Precondition) -> VersionedTask:
        """Return the task.

        Raises:
            ResourceNotFound: The owner has no such task.
            PreconditionFailed: `If-Match` names other versions.
        """
        with service_span("get task"):
            stored = await self._repository.get(owner.user_id, task_id)
            if stored is None:
                raise ResourceNotFound("task", task_id)
            if precondition.fails_if_match(stored.version):
                raise _stale()
            return stored

    async def create(self, owner: Principal, new: TaskCreate, idempotency_key: str | None) -> VersionedTask:
        """Create a task, once for each idempotency key.

        Raises:
            IdempotencyKeyInProgress, IdempotencyKeyReused: See `IdempotencyStore.run`.
            InvalidToken, UserNotRegistered: See `with_user_row`.
        """
        with service_span("create task"):
            write = partial(self._create, owner.user_id, new, idempotency_key)
            stored, is_new = await with_user_row(self._users, owner.user_id, write)
            if is_new:  # false for a replayed result
                tasks_created.inc()
            return stored

    async def update(
        self, owner: Principal, task_id: int, change: TaskUpdate, precondition: Precondition
    ) -> VersionedTask:
        """Change the fields that are set in `change`.

        Raises:
            ResourceNotFound: The owner has no such task.
            PreconditionFailed: The task is at another version.
        """
        with service_span("update task"):
            stored = await self._repository.update(owner.user_id, task_id, change, precondition)
            return stored or await self._raise_not_found_or_stale(owner, task_id, precondition)

    async def toggle_completed(
        self, owner: Principal, task_id: int, precondition: Precondition
    ) -> VersionedTask:
        """Flip `completed`. Raises the errors of `update`."""
        with service_span("complete task"):
            stored = await self._repository.toggle_completed(owner.user_id, task_id, precondition)
            stored = stored or await self._raise_not_found_or_stale(owner, task_id, precondition)
            if stored.task.completed:
                tasks_completed.inc()
            return stored

    async def delete(self, owner: Principal, task_id: int, precondition: Precondition) -> None:
        """Delete the task. Raises the errors of `update`."""
        with service_span("delete task"):
            if not await self._repository.delete(owner.user_id, task_id, precondition):
                await self._raise_not_found_or_stale(owner, task_id, precondition)
            tasks_deleted.inc()

    async def _create(self, user_id: str, new: TaskCreate, key: str | None) -> tuple[VersionedTask, bool]:
        if key is None:
            return await self._repository.create(user_id, new), True
        # An absent later field is left out, so that the keys of the previous release stay valid for the same body.
        absent = TaskCreate.model_fields.keys() - new.model_fields_set - _FIRST_FIELDS
        fingerprint = sha256(new.model_dump_json(exclude=absent).encode()).digest()
        write = partial(self._repository.create, user_id, new)
        return await self._idempotency.run(user_id, key, fingerprint, write, VersionedTask)

    async def _raise_not_found_or_stale(
        self, owner: Principal, task_id: int, precondition: Precondition
    ) -> NoReturn:
        """Raise the error of a write without effect: the task does not exist, or has another version."""
        if precondition.is_unconditional or await self._repository.version(owner.user_id, task_id) is None:
            raise ResourceNotFound("task", task_id)
        raise _stale()


def _stale() -> PreconditionFailed:
    return PreconditionFailed("The task is not at the version you asked for. Read it again, then decide.")
