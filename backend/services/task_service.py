"""The rules of tasks; knows no HTTP and no SQL."""

from typing import NoReturn

from backend.errors import TaskNotFound, UserNotRegistered
from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidToken, PreconditionFailed
from backend.platform.observability.tracing import service_span
from backend.schemas.task import TaskCreate, TaskUpdate, VersionedTask
from backend.schemas.task_page import TaskPageRecord, TaskQuery
from backend.services.cursor import decode_cursor, encode_cursor
from backend.services.metrics import tasks_completed, tasks_created, tasks_deleted
from backend.services.repositories import TaskRepositoryProtocol, UserRepositoryProtocol

__all__ = ["TaskService"]


class TaskService:
    """What a user can do with their tasks.

    Every method takes the owner, whose tasks alone it sees; another user's task is as
    absent as one that never was.

    Args:
        repository: Where tasks are kept.
        users: Where the users are whom tasks refer to.
    """

    def __init__(self, repository: TaskRepositoryProtocol, users: UserRepositoryProtocol) -> None:
        self._repository = repository
        self._users = users

    async def list(self, owner: Principal, query: TaskQuery) -> TaskPageRecord:
        """Return one page.

        Raises:
            InvalidInput: The cursor is not one of this list.
        """
        with service_span("list tasks"):
            after = decode_cursor(query.cursor, owner.user_id, query) if query.cursor else None
            # One more than asked for tells whether there is a next page.
            found = await self._repository.list(owner.user_id, query, after=after, row_count=query.limit + 1)
            tasks = found[: query.limit]
            has_more = len(found) > query.limit
            next_cursor = encode_cursor(tasks[-1], owner.user_id, query) if has_more else None
            return TaskPageRecord(tasks, len(tasks), next_cursor)

    async def get(self, owner: Principal, task_id: int, precondition: Precondition) -> VersionedTask:
        """Return the task.

        Raises:
            TaskNotFound: The owner has no such task.
            PreconditionFailed: `If-Match` names other versions.
        """
        with service_span("get task"):
            stored = await self._repository.get(owner.user_id, task_id)
            if stored is None:
                raise _not_found(task_id)
            if precondition.fails_if_match(stored.version):
                raise _changed()
            return stored

    async def create(self, owner: Principal, new: TaskCreate, idempotency_key: str | None) -> VersionedTask:
        """Write a new task, once for each idempotency key.

        Raises:
            IdempotencyKeyInProgress, IdempotencyKeyReused: See `TaskRepository.create_idempotent`.
            InvalidToken: The frontend, whose table `users` is, has no such user any more.
            UserNotRegistered: The owner has no row in `users` and it cannot be written.
        """
        with service_span("create task"):
            try:
                return await self._create(owner, new, idempotency_key)
            except UserNotRegistered:
                # The first task of a user whom the frontend keeps elsewhere, or a deleted user's token.
                if not await self._users.ensure_user(owner.user_id):
                    raise InvalidToken("The token's user does not exist.") from None
                return await self._create(owner, new, idempotency_key)

    async def update(
        self, owner: Principal, task_id: int, change: TaskUpdate, precondition: Precondition
    ) -> VersionedTask:
        """Change the fields that `change` has.

        Raises:
            TaskNotFound: The owner has no such task.
            PreconditionFailed: It is at another version.
        """
        with service_span("update task"):
            stored = await self._repository.update(owner.user_id, task_id, change, precondition)
            return stored or await self._refuse(owner, task_id, precondition)

    async def complete(self, owner: Principal, task_id: int, precondition: Precondition) -> VersionedTask:
        """Flip `completed`. Raises as `update` does."""
        with service_span("complete task"):
            stored = await self._repository.complete(owner.user_id, task_id, precondition)
            stored = stored or await self._refuse(owner, task_id, precondition)
            if stored.task.completed:
                tasks_completed.inc()
            return stored

    async def delete(self, owner: Principal, task_id: int, precondition: Precondition) -> None:
        """Delete the task. Raises as `update` does."""
        with service_span("delete task"):
            if not await self._repository.delete(owner.user_id, task_id, precondition):
                await self._refuse(owner, task_id, precondition)
            tasks_deleted.inc()

    async def _create(self, owner: Principal, new: TaskCreate, idempotency_key: str | None) -> VersionedTask:
        if idempotency_key is None:
            stored, is_new = await self._repository.create(owner.user_id, new), True
        else:
            stored, is_new = await self._repository.create_idempotent(owner.user_id, new, idempotency_key)
        if is_new:  # a replayed answer is no second task
            tasks_created.inc()
        return stored

    async def _refuse(self, owner: Principal, task_id: int, precondition: Precondition) -> NoReturn:
        """Say why nothing was written: no task, or not at the version asked for."""
        if precondition.is_unconditional or await self._repository.version(owner.user_id, task_id) is None:
            raise _not_found(task_id)
        raise _changed()


def _not_found(task_id: int) -> TaskNotFound:
    return TaskNotFound(f"You have no task {task_id}.")


def _changed() -> PreconditionFailed:
    return PreconditionFailed("The task is not at the version you asked for. Read it again, then decide.")
