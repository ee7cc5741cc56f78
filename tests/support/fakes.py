"""The data layer in memory, for tests without PostgreSQL; mypy compares it with the service's protocols."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI

from backend.config import Settings
from backend.errors import UserNotRegistered
from backend.main import create_app
from backend.models.task import TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import IdempotencyKeyReused
from backend.platform.postgres.list_query import ListQuery
from backend.platform.postgres.statement import Connection
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import Filter
from backend.services.repositories import (
    IdempotencyStoreProtocol,
    TaskRepositoryProtocol,
    UserRepositoryProtocol,
)
from backend.services.task_service import TaskService
from tests.support.asgi import Answer, call
from tests.support.service import SECRET
from tests.support.tokens import claims, hs256

if TYPE_CHECKING:
    from asyncpg import Record

__all__ = ["FakeConnection", "FakeRepository", "app_on", "send", "service_on", "stored"]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stored(task_id: int = 1, *, completed: bool = False) -> VersionedTask:
    """Return a task of alice at version 1."""
    return VersionedTask(TaskRow(task_id, "alice", "Milk", None, completed, _NOW, _NOW), version=1)


class FakeConnection:
    """A connection that returns prepared rows, one list for each query, and records the queries."""

    def __init__(self, *results: Sequence[Any]) -> None:
        self.results = list(results)
        self.queries: list[tuple[str, tuple[Any, ...]]] = []

    async def fetch(self, query: str, *args: Any) -> "list[Record]":
        """Return the next rows; without prepared rows the query is an error."""
        self.queries.append((query, args))
        return list(self.results.pop(0))


class FakeRepository:
    """Replaces the repositories and the idempotency store, and records the calls.

    Args:
        present: Whether the task exists, at version 1.
        registered: Whether `users` has the row of the user.
        row_count: The number of tasks of a list.
    """

    def __init__(self, *, present: bool = True, registered: bool = True, row_count: int = 0) -> None:
        self.present = present
        self.registered = registered
        self.row_count = row_count
        self.keys: dict[str, tuple[bytes, bytes]] = {}
        self.calls: list[str] = []
        self.query: ListQuery[Filter] | None = None

    async def list(self, _user: str, query: ListQuery[Filter]) -> list[TaskRow]:
        """Return the newest tasks, up to the limit."""
        self.calls.append("list")
        self.query = query
        return [stored(number).task for number in range(self.row_count, 0, -1)][: query.limit]

    async def get(self, _user: str, _task_id: int) -> VersionedTask | None:
        """Return the task."""
        self.calls.append("get")
        return stored() if self.present else None

    async def version(self, _user: str, _task_id: int) -> int | None:
        """Return the task's version."""
        self.calls.append("version")
        return 1 if self.present else None

    async def create(
        self, _user: str, _new: TaskCreate, connection: Connection | None = None
    ) -> VersionedTask:
        """Return a new task, with the id 2 if it is created in an open transaction."""
        self.calls.append("create")
        if not self.registered:
            raise UserNotRegistered("There is no such user.")
        return stored(1 if connection is None else 2)

    async def run[Result](
        self,
        _user: str,
        key: str,
        fingerprint: bytes,
        create: Callable[[Connection], Awaitable[Result]],
        result_type: type[Result],
    ) -> tuple[Result, bool]:
        """Keep the result of a key as the database does: encoded."""
        if key in self.keys:
            first, answer = self.keys[key]
            if first != fingerprint:
                raise IdempotencyKeyReused("This Idempotency-Key was used with another body.")
            return msgspec.json.decode(answer, type=result_type), False
        result = await create(FakeConnection())
        self.keys[key] = fingerprint, msgspec.json.encode(result)
        return result, True

    async def ensure_user(self, user_id: str) -> bool:
        """Register the user, except `refused`; `deleted` is a user of the frontend that no longer exists."""
        self.calls.append(f"ensure_user {user_id}")
        self.registered = user_id != "refused"
        return user_id != "deleted"

    async def update(
        self, _user: str, _task_id: int, _change: TaskUpdate, precondition: Precondition
    ) -> VersionedTask | None:
        """Return the task if it meets the precondition."""
        self.calls.append("update")
        return stored() if self._is_met(precondition) else None

    async def toggle_completed(
        self, _user: str, task_id: int, precondition: Precondition
    ) -> VersionedTask | None:
        """Return the task if it meets the precondition; the task 1 becomes completed, others pending."""
        self.calls.append("toggle_completed")
        return stored(completed=task_id == 1) if self._is_met(precondition) else None

    async def delete(self, _user: str, _task_id: int, precondition: Precondition) -> bool:
        """Return whether the task met the precondition."""
        self.calls.append("delete")
        return self._is_met(precondition)

    def _is_met(self, precondition: Precondition) -> bool:
        return self.present and not precondition.fails_if_match(1) and not precondition.excludes(1)


def service_on(repository: FakeRepository) -> TaskService:
    """Return the service on a fake; each annotation makes mypy compare it with a protocol."""
    tasks: TaskRepositoryProtocol = repository
    users: UserRepositoryProtocol = repository
    keys: IdempotencyStoreProtocol = repository
    return TaskService(tasks, users, keys)


def app_on(repository: FakeRepository, **settings: Any) -> FastAPI:
    """Return the application on a fake, without a started lifespan: no pool, no background task."""
    app = create_app(Settings(better_auth_secret=SECRET, **settings))
    app.state.task_service = service_on(repository)
    return app


async def send(
    repository: FakeRepository,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send a request of alice, with a JSON body, to the application on a fake.

    Args:
        repository: The fake.
        method: HTTP method.
        path: The path as the server decodes it.
        query: The query as sent.
        headers: Additional headers, or others instead of those of alice.
        body: The body.
    """
    alice = {
        "Authorization": f"Bearer {hs256(SECRET, claims(sub='alice'))}",
        "Content-Type": "application/json",
    }
    return await call(
        app_on(repository), method, path, alice | dict(headers or {}), body, query_string=query.encode()
    )
