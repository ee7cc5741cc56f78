"""What the services need of the data layer; unit tests give them repositories in memory."""

from typing import Protocol

from backend.platform.concurrency.precondition import Precondition
from backend.schemas.task import TaskCreate, TaskRow, TaskUpdate, VersionedTask
from backend.schemas.task_page import Position, TaskQuery

__all__ = ["TaskRepositoryProtocol", "UserRepositoryProtocol"]


class TaskRepositoryProtocol(Protocol):
    """Stores tasks; `backend.db.task_repository.TaskRepository` is the one of production."""

    async def list(
        self, user_id: str, query: TaskQuery, /, *, after: Position | None, row_count: int
    ) -> list[TaskRow]:
        """Return up to `row_count` tasks in the query's order, those behind `after` only."""
        ...

    async def get(self, user_id: str, task_id: int, /) -> VersionedTask | None:
        """Return the task, or None where this user has no such task."""
        ...

    async def version(self, user_id: str, task_id: int, /) -> int | None:
        """Return the task's version, or None where this user has no such task."""
        ...

    async def create(self, user_id: str, new: TaskCreate, /) -> VersionedTask:
        """Write a new task."""
        ...

    async def create_idempotent(
        self, user_id: str, new: TaskCreate, key: str, /
    ) -> tuple[VersionedTask, bool]:
        """Write a new task once for each idempotency key; tell whether it is new."""
        ...

    async def update(
        self, user_id: str, task_id: int, change: TaskUpdate, precondition: Precondition, /
    ) -> VersionedTask | None:
        """Change the fields that `change` has, or return None where no task meets all of it."""
        ...

    async def complete(
        self, user_id: str, task_id: int, precondition: Precondition, /
    ) -> VersionedTask | None:
        """Flip `completed`, or return None where no task meets all of it."""
        ...

    async def delete(self, user_id: str, task_id: int, precondition: Precondition, /) -> bool:
        """Delete the task and tell whether there was one that meets all of it."""
        ...


class UserRepositoryProtocol(Protocol):
    """Stores users; `backend.db.user_repository.UserRepository` is the one of production."""

    async def ensure_user(self, user_id: str, /) -> bool:
        """Write the missing row of a user; return False where the table is the frontend's."""
        ...
