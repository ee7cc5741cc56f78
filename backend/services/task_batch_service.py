"""The operations on several tasks of a user at once."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NoReturn

import msgspec

from backend.models.task import VersionedTask
from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import DomainError, InvalidValue, PreconditionFailed, ResourceNotFound
from backend.platform.observability.tracing import service_span
from backend.platform.postgres.statement import Connection
from backend.schemas.task_batch import CreateOperation, DeleteOperation, TaskBatch, UpdateOperation
from backend.services.metrics import tasks_created, tasks_deleted
from backend.services.registration import with_user_row
from backend.services.repositories import (
    IdempotencyStoreProtocol,
    TaskBatchRepositoryProtocol,
    UserRepositoryProtocol,
)

__all__ = ["BatchOutcome", "TagCountRecord", "TaskBatchService"]


class BatchOutcome(msgspec.Struct, frozen=True):
    """The created or changed task of each operation, in order; None for a deletion."""

    tasks: Sequence[VersionedTask | None]


class TagCountRecord(msgspec.Struct, frozen=True, gc=False):
    """A tag as it is encoded as JSON; the fields are those of `TagCount`."""

    tag: str
    pending: int
    total: int


class TaskBatchService:
    """Operations on several tasks of a user.

    Args:
        repository: The tasks.
        users: The users that tasks reference.
        idempotency: The results of keyed batches.
    """

    def __init__(
        self,
        repository: TaskBatchRepositoryProtocol,
        users: UserRepositoryProtocol,
        idempotency: IdempotencyStoreProtocol,
    ) -> None:
        self._repository = repository
        self._users = users
        self._idempotency = idempotency

    async def run(self, owner: Principal, batch: TaskBatch, key: str | None) -> BatchOutcome:
        """Apply all operations in one transaction, or none.

        Args:
            owner: The owner.
            batch: The operations.
            key: Idempotency-Key, or None.

        Raises:
            ResourceNotFound: The owner has no such task. Like `PreconditionFailed`, it points to the operation.
            PreconditionFailed: A task is at another version.
            IdempotencyKeyReused, IdempotencyKeyInProgress: See `IdempotencyStore.run`.
            InvalidToken, UserNotRegistered: See `with_user_row`.
        """

        async def write(connection: Connection) -> BatchOutcome:
            return await self._apply(owner.user_id, batch, connection)

        async def attempt() -> tuple[BatchOutcome, bool]:
            if key is None:
                return await self._repository.transaction(owner.user_id, write), True
            body = batch.model_dump_json(exclude_unset=True)
            fingerprint = sha256(f"batch {body}".encode()).digest()
            return await self._idempotency.run(owner.user_id, key, fingerprint, write, BatchOutcome)

        with service_span("batch tasks"):
            outcome, is_new = await with_user_row(self._users, owner.user_id, attempt)
            if is_new:  # false for a replayed result
                tasks_created.inc(sum(isinstance(each, CreateOperation) for each in batch.operations))
                tasks_deleted.inc(sum(isinstance(each, DeleteOperation) for each in batch.operations))
            return outcome

    async def delete_completed(self, owner: Principal) -> tuple[int, bool]:
        """Delete up to 1,000 completed tasks; return their number, and whether there are more."""
        with service_span("delete completed tasks"):
            deleted, more = await self._repository.delete_completed(owner.user_id)
            tasks_deleted.inc(deleted)
            return deleted, more

    async def tags(self, owner: Principal) -> Sequence[TagCountRecord]:
        """Return up to 1,000 tags of the owner's 10,000 newest tasks, most used first."""
        with service_span("count tags"):
            return [TagCountRecord(*each) for each in await self._repository.count_tags(owner.user_id)]

    async def _apply(self, user_id: str, batch: TaskBatch, connection: Connection) -> BatchOutcome:
        repository = self._repository
        tasks: list[VersionedTask | None] = []
        for index, each in enumerate(batch.operations):
            match each:
                case CreateOperation():
                    tasks.append(await repository.create(user_id, each.task, connection))
                    continue
                case UpdateOperation():
                    precondition = each.if_match or Precondition()
                    task = await repository.update(user_id, each.id, each.task, precondition, connection)
                    is_done = task is not None
                case DeleteOperation():
                    task, precondition = None, each.if_match or Precondition()
                    is_done = await repository.delete(user_id, each.id, precondition, connection)
            if not is_done:
                is_missing = await repository.version(user_id, each.id, connection) is None
                _raise_failure(index, each.id, is_missing=is_missing)
            tasks.append(task)
        return BatchOutcome(tasks)


def _raise_failure(index: int, task_id: int, *, is_missing: bool) -> NoReturn:
    error: DomainError
    if is_missing:
        error, name = ResourceNotFound("task", task_id), "id"
    else:
        error, name = PreconditionFailed(f"Task {task_id} is not at the version you asked for."), "if_match"
    error.errors = (InvalidValue(f"/body/operations/{index}/{name}", error.detail),)
    raise error
