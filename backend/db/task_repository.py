"""The tasks of a user in PostgreSQL: one statement an operation, and every one with the user's id."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from backend.db import task_statements as tasks
from backend.db import user_statements as users
from backend.errors import UserNotRegistered
from backend.models.task import USER_FOREIGN_KEY
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import IdempotencyKeyInProgress, IdempotencyKeyReused
from backend.platform.postgres.database import Database
from backend.platform.postgres.statement import Connection, Statement
from backend.schemas.task import TaskCreate, TaskRow, TaskUpdate, VersionedTask
from backend.schemas.task_page import Position, TaskQuery

__all__ = ["TaskRepository"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TaskRepository:
    """Reads and writes the tasks of one user at a time.

    Every method raises the errors of `Database.fetch` besides its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.register_violation(USER_FOREIGN_KEY, _user_not_registered)

    async def list(
        self, user_id: str, query: TaskQuery, *, after: Position | None, row_count: int
    ) -> list[TaskRow]:
        """Return up to `row_count` tasks in the query's order, those behind `after` only."""
        order = query.order or "desc"
        filtered, continued = query.completed is not None, after is not None
        values: dict[str, Any] = {"user_id": user_id, "row_count": row_count}
        if query.completed is not None:
            values["completed"] = query.completed
        if query.search:
            values["pattern"] = _pattern(query.search)
        if after is not None:
            values["after_key"] = (
                after.key if isinstance(after.key, str) else _EPOCH + timedelta(microseconds=after.key)
            )
            values["after_id"] = after.id
        if query.search:
            near = tasks.search_window(query.sort, order, filtered=filtered, continued=continued)
            rows = await self._database.fetch(near, retry_on_disconnect=True, **values)
            matching = [TaskRow(*row[:-2]) for row in rows if row["matches"]]
            if len(matching) == row_count or not (rows and rows[-1]["ends"]):
                return matching
        page = tasks.select_page(
            query.sort, order, filtered=filtered, searching=bool(query.search), continued=continued
        )
        # A rare text is found by its trigrams, a common one in the list's order: only the text tells which.
        rows = await self._database.fetch(
            page, retry_on_disconnect=True, custom_plan=bool(query.search), **values
        )
        return [TaskRow(*row) for row in rows]

    async def get(self, user_id: str, task_id: int) -> VersionedTask | None:
        """Return the task, or None where this user has no such task."""
        return _stored(
            await self._database.fetch(tasks.GET, retry_on_disconnect=True, user_id=user_id, task_id=task_id)
        )

    async def version(self, user_id: str, task_id: int) -> int | None:
        """Return the task's version, or None where this user has no such task."""
        rows = await self._database.fetch(
            tasks.VERSION, retry_on_disconnect=True, user_id=user_id, task_id=task_id
        )
        return rows[0][0] if rows else None

    async def create(self, user_id: str, new: TaskCreate) -> VersionedTask:
        """Write a new task.

        Raises:
            UserNotRegistered: `user_id` is not in `users`.
        """
        rows = await self._database.fetch(tasks.INSERT, **_new(user_id, new))
        return _row(rows[0])

    async def create_idempotent(self, user_id: str, new: TaskCreate, key: str) -> tuple[VersionedTask, bool]:
        """Write a new task, unless `key` has already written one: then return that one as it was.

        Args:
            user_id: Whose task and whose key.
            new: The task.
            key: The Idempotency-Key; it counts for 24 hours.

        Returns:
            The task, and whether this call wrote it.

        Raises:
            IdempotencyKeyInProgress: Another request with this key has not ended.
            IdempotencyKeyReused: The key came with another task before.
            UserNotRegistered: `user_id` is not in `users`.
        """
        fingerprint = hashlib.sha256(new.model_dump_json().encode()).digest()

        async def work(connection: Connection) -> tuple[VersionedTask, bool]:
            async def run(statement: Statement, **values: Any) -> list[asyncpg.Record]:
                return await statement.fetch(connection, {"user_id": user_id, "key": key} | values)

            if not (await run(users.LOCK_KEY))[0][0]:
                raise IdempotencyKeyInProgress(
                    "The first request with this Idempotency-Key is still running."
                )
            if found := await run(users.FIND_KEY):
                if found[0]["fingerprint"] != fingerprint:
                    raise IdempotencyKeyReused("This Idempotency-Key was used with another body.")
                return msgspec.json.decode(found[0]["answer"], type=VersionedTask), False
            await run(users.DELETE_EXPIRED_KEYS)
            stored = _row((await run(tasks.INSERT, **_new(user_id, new)))[0])
            await run(users.STORE_KEY, fingerprint=fingerprint, answer=msgspec.json.encode(stored))
            return stored, True

        return await self._database.transaction(work)

    async def update(
        self, user_id: str, task_id: int, change: TaskUpdate, precondition: Precondition
    ) -> VersionedTask | None:
        """Change the fields that `change` has, or return None where no task meets all of it."""
        values: dict[str, Any] = {}
        for name in TaskUpdate.model_fields:
            values[name] = getattr(change, name)
            values[f"set_{name}"] = name in change.model_fields_set
        return await self._write(tasks.UPDATE, user_id, task_id, precondition, **values)

    async def complete(self, user_id: str, task_id: int, precondition: Precondition) -> VersionedTask | None:
        """Flip `completed`, or return None where no task meets all of it."""
        return await self._write(tasks.COMPLETE, user_id, task_id, precondition)

    async def delete(self, user_id: str, task_id: int, precondition: Precondition) -> bool:
        """Delete the task and tell whether there was one that meets all of it."""
        return bool(await self._database.fetch(tasks.DELETE, **_target(user_id, task_id, precondition)))

    async def _write(
        self, statement: Statement, user_id: str, task_id: int, precondition: Precondition, **values: Any
    ) -> VersionedTask | None:
        return _stored(
            await self._database.fetch(statement, **_target(user_id, task_id, precondition), **values)
        )


def _user_not_registered() -> UserNotRegistered:
    return UserNotRegistered("The token's user is not in this database.")


def _target(user_id: str, task_id: int, precondition: Precondition) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "task_id": task_id,
        "if_match": precondition.if_match,
        "if_none_match": precondition.if_none_match,
        "if_none_match_any": precondition.if_none_match_any,
    }


def _new(user_id: str, new: TaskCreate) -> dict[str, Any]:
    return {"user_id": user_id} | new.model_dump()


def _row(row: asyncpg.Record) -> VersionedTask:
    *fields, version = row
    return VersionedTask(TaskRow(*fields), version)


def _stored(rows: list[asyncpg.Record]) -> VersionedTask | None:
    return _row(rows[0]) if rows else None


def _pattern(search: str) -> str:
    """Return a LIKE pattern that means the text itself."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
