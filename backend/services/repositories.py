"""Protocols of the data layer. Unit tests implement them in memory."""
# ruff: noqa: D102 - the implementations document the methods

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from backend.models.task import TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.list_query import ListQuery
from backend.platform.postgres.statement import Connection
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import Filter

__all__ = [
    "IdempotencyStoreProtocol",
    "TaskBatchRepositoryProtocol",
    "TaskRepositoryProtocol",
    "UserRepositoryProtocol",
]


class TaskRepositoryProtocol(Protocol):
    """Implemented by `backend.db.task_repository.TaskRepository`, which documents the methods."""

    async def list(self, user_id: str, query: ListQuery[Filter], /) -> list[TaskRow]: ...

    async def get(self, user_id: str, task_id: int, /) -> VersionedTask | None: ...

    async def version(self, user_id: str, task_id: int, /) -> int | None: ...

    async def create(
        self, user_id: str, new: TaskCreate, /, connection: Connection | None = None
    ) -> VersionedTask: ...

    async def update(
        self, user_id: str, task_id: int, change: TaskUpdate, precondition: Precondition, /
    ) -> VersionedTask | None: ...

    async def toggle_completed(
        self, user_id: str, task_id: int, precondition: Precondition, /
    ) -> VersionedTask | None: ...

    async def delete(self, user_id: str, task_id: int, precondition: Precondition, /) -> bool: ...


class TaskBatchRepositoryProtocol(Protocol):
    """Also implemented by `TaskRepository`; `Connection` is that of `transaction`."""

    async def transaction[Result](
        self, user_id: str, work: Callable[[Connection], Awaitable[Result]], /
    ) -> Result: ...

    async def create(self, user_id: str, new: TaskCreate, connection: Connection, /) -> VersionedTask: ...

    async def update(
        self,
        user_id: str,
        task_id: int,
        change: TaskUpdate,
        precondition: Precondition,
        connection: Connection,
        /,
    ) -> VersionedTask | None: ...

    async def delete(
        self, user_id: str, task_id: int, precondition: Precondition, connection: Connection, /
    ) -> bool: ...

    async def version(self, user_id: str, task_id: int, connection: Connection, /) -> int | None: ...

    async def delete_completed(self, user_id: str, /) -> tuple[int, bool]: ...

    async def count_tags(self, user_id: str, /) -> Sequence[tuple[str, int, int]]: ...


class UserRepositoryProtocol(Protocol):
    """Implemented by `backend.db.user_repository.UserRepository`."""

    async def ensure_user(self, user_id: str, /) -> bool: ...


class IdempotencyStoreProtocol(Protocol):
    """Implemented by `backend.platform.postgres.idempotency.IdempotencyStore`."""

    async def run[Result](
        self,
        user_id: str,
        key: str,
        fingerprint: bytes,
        create: Callable[[Connection], Awaitable[Result]],
        result_type: type[Result],
        /,
    ) -> tuple[Result, bool]: ...
