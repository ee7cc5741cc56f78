"""The tasks of a user in PostgreSQL: one statement per operation, each with the user's id."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from backend.db import task_statements as tasks
from backend.db.task_statements import Condition
from backend.db.user_repository import register_user_reference
from backend.models.task import TASKS, TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.conditional_write import precondition_values
from backend.platform.postgres.database import Database
from backend.platform.postgres.keyset import keyset_values
from backend.platform.postgres.list_query import ListQuery
from backend.platform.postgres.statement import CompiledStatement, Connection
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import Filter

__all__ = ["TaskRepository"]


class TaskRepository:
    """Reads and writes the tasks of one user at a time.

    Every method also raises the errors of `Database.fetch`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        register_user_reference(database, TASKS)

    async def list(self, user_id: str, query: ListQuery[Filter]) -> list[TaskRow]:
        """Return the tasks of one page, in the order of the query."""
        values: dict[Any, Any] = {"user_id": user_id, "row_count": query.limit, **query.filters}
        values |= keyset_values(query.after)
        conditions: frozenset[Condition] = frozenset(query.filters)
        if query.after is not None:
            conditions |= {"after"}
        is_search = "search" in conditions
        if is_search:
            values["search"] = _contains(values["search"])
            window = tasks.search_window(query.sort, query.order, conditions)
            rows = await self._database.fetch(window, retry_on_disconnect=True, **values)
            matching = [TaskRow(*row[:-2]) for row in rows if row["is_match"]]
            if len(matching) == query.limit or not (rows and rows[-1]["window_exhausted"]):
                return matching
        # A custom plan: a rare text uses the trigram index, a common one the ordered scan.
        rows = await self._database.fetch(
            tasks.select_page(query.sort, query.order, conditions),
            retry_on_disconnect=True,
            custom_plan=is_search,
            **values,
        )
        return [TaskRow(*row) for row in rows]

    async def get(self, user_id: str, task_id: int) -> VersionedTask | None:
        """Return the task, or None if the user has no such task."""
        return _versioned(
            await self._database.fetch(tasks.GET, retry_on_disconnect=True, user_id=user_id, task_id=task_id)
        )

    async def version(self, user_id: str, task_id: int) -> int | None:
        """Return the task's version, or None if the user has no such task."""
        rows = await self._database.fetch(
            tasks.VERSION, retry_on_disconnect=True, user_id=user_id, task_id=task_id
        )
        return rows[0][0] if rows else None

    async def create(
        self, user_id: str, new: TaskCreate, connection: Connection | None = None
    ) -> VersionedTask:
        """Write a new task.

        Args:
            user_id: The owner.
            new: The task.
            connection: Connection of an open transaction; None uses a transaction of its own.

        Raises:
            UserNotRegistered: `users` has no row of the owner.
        """
        rows = await self._database.fetch(
            tasks.INSERT, connection=connection, user_id=user_id, **new.model_dump()
        )
        return _row(rows[0])

    async def update(
        self, user_id: str, task_id: int, change: TaskUpdate, precondition: Precondition
    ) -> VersionedTask | None:
        """Change the fields that are set in `change`, or return None if no task meets the precondition."""
        values: dict[str, Any] = {}
        for name in TaskUpdate.model_fields:
            values[name] = getattr(change, name)
            values[f"set_{name}"] = name in change.model_fields_set
        return _versioned(await self._write(tasks.UPDATE, user_id, task_id, precondition, **values))

    async def toggle_completed(
        self, user_id: str, task_id: int, precondition: Precondition
    ) -> VersionedTask | None:
        """Flip `completed`, or return None if no task meets the precondition."""
        return _versioned(await self._write(tasks.TOGGLE_COMPLETED, user_id, task_id, precondition))

    async def delete(self, user_id: str, task_id: int, precondition: Precondition) -> bool:
        """Delete the task and return whether a task met the precondition."""
        return bool(await self._write(tasks.DELETE, user_id, task_id, precondition))

    async def _write(
        self,
        statement: CompiledStatement,
        user_id: str,
        task_id: int,
        precondition: Precondition,
        **values: Any,
    ) -> Sequence[asyncpg.Record]:
        return await self._database.fetch(
            statement, user_id=user_id, task_id=task_id, **precondition_values(precondition), **values
        )


def _row(row: asyncpg.Record) -> VersionedTask:
    *fields, version = row
    return VersionedTask(TaskRow(*fields), version)


def _versioned(rows: Sequence[asyncpg.Record]) -> VersionedTask | None:
    return _row(rows[0]) if rows else None


def _contains(text: str) -> str:
    """Return the LIKE pattern for rows that contain the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
