"""The tasks of a user in PostgreSQL: one statement per operation, each with the user's id."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from backend.db import task_statements as tasks
from backend.db.task_bulk_statements import COUNT_TAGS, DELETE_COMPLETED
from backend.db.task_fields import column_values, task_row, task_rows
from backend.db.task_list_statements import (
    FILTER_PARAMETERS,
    SET_CUSTOM_PLAN,
    Condition,
    search_window,
    select_page,
)
from backend.db.user_repository import register_user_reference
from backend.models.task import TASKS, TaskRow, VersionedTask
from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.conditional_write import precondition_values
from backend.platform.postgres.database import Database
from backend.platform.postgres.keyset import keyset_values
from backend.platform.postgres.list_query import ListQuery
from backend.platform.postgres.statement import Connection
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.schemas.task_page import SORT_KEYS, Filter

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
        found: list[TaskRow] = []
        for null_keys in _parts(query):
            found += await self._list_part(user_id, query, query.limit - len(found), null_keys=null_keys)
            if len(found) == query.limit:
                break
        return found

    async def _list_part(
        self, user_id: str, query: ListQuery[Filter], row_count: int, *, null_keys: bool
    ) -> Sequence[TaskRow]:
        """Return tasks of a page, all with a sort key or all without one."""
        values, conditions = _values(query)
        values |= {"user_id": user_id, "row_count": row_count}
        if null_keys:
            conditions |= {"null_keys"}
        if query.after is not None and (query.after.key is None) == null_keys:
            conditions |= {"after"}
            values |= keyset_values(query.after)
        is_filtered = "filters" in conditions
        if is_filtered:
            window = search_window(query.sort, query.order, conditions - {"filters"})
            rows = await self._database.fetch(window, retry_on_disconnect=True, **values)
            matching = task_rows([row for row in rows if row["is_match"]])
            if len(matching) == row_count or not (rows and rows[-1]["window_exhausted"]):
                return matching
        # A custom plan: a rare value uses the index of its filter, a common one the ordered scan.
        rows = await self._database.fetch(
            select_page(query.sort, query.order, conditions),
            retry_on_disconnect=True,
            custom_plan=SET_CUSTOM_PLAN if is_filtered else None,
            **values,
        )
        return task_rows(rows)

    async def get(self, user_id: str, task_id: int) -> VersionedTask | None:
        """Return the task, or None if the user has no such task."""
        return _versioned(
            await self._database.fetch(tasks.GET, retry_on_disconnect=True, user_id=user_id, task_id=task_id)
        )

    async def version(self, user_id: str, task_id: int, connection: Connection | None = None) -> int | None:
        """Return the task's version, or None if the user has no such task."""
        rows = await self._database.fetch(
            tasks.VERSION, connection=connection, retry_on_disconnect=True, user_id=user_id, task_id=task_id
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
            tasks.INSERT, connection=connection, user_id=user_id, **column_values(new.model_dump())
        )
        return _row(rows[0])

    async def update(
        self,
        user_id: str,
        task_id: int,
        change: TaskUpdate,
        precondition: Precondition,
        connection: Connection | None = None,
    ) -> VersionedTask | None:
        """Change the fields that are set in `change`, or return None if no task meets the precondition."""
        values = column_values({name: getattr(change, name) for name in TaskUpdate.model_fields})
        values |= {f"set_{name}": name in change.model_fields_set for name in TaskUpdate.model_fields}
        values |= {"user_id": user_id, "task_id": task_id, **precondition_values(precondition)}
        return _versioned(await self._database.fetch(tasks.UPDATE, connection=connection, **values))

    async def toggle_completed(
        self, user_id: str, task_id: int, precondition: Precondition
    ) -> VersionedTask | None:
        """Flip `completed`, or return None if no task meets the precondition."""
        values = {"user_id": user_id, "task_id": task_id, **precondition_values(precondition)}
        return _versioned(await self._database.fetch(tasks.TOGGLE_COMPLETED, **values))

    async def delete(
        self,
        user_id: str,
        task_id: int,
        precondition: Precondition,
        connection: Connection | None = None,
    ) -> bool:
        """Delete the task and return whether a task met the precondition."""
        values = {"user_id": user_id, "task_id": task_id, **precondition_values(precondition)}
        return bool(await self._database.fetch(tasks.DELETE, connection=connection, **values))

    async def delete_completed(self, user_id: str) -> tuple[int, bool]:
        """Delete up to 1,000 completed tasks; return their number, and whether there are more."""
        (row,) = await self._database.fetch(DELETE_COMPLETED, user_id=user_id)
        return row["deleted"], row["more"]

    async def count_tags(self, user_id: str) -> Sequence[tuple[str, int, int]]:
        """Return tags with the numbers of pending and of all tasks, among the 10,000 newest, most used first."""
        rows = await self._database.fetch(COUNT_TAGS, retry_on_disconnect=True, user_id=user_id)
        return [(row["tag"], row["pending"], row["total"]) for row in rows]

    async def transaction[Result](
        self, user_id: str, work: Callable[[Connection], Awaitable[Result]]
    ) -> Result:
        """Run several operations of a user, which get the connection, in one transaction. See `Database.transaction`."""
        return await self._database.transaction(work, user_id=user_id)


def _row(row: asyncpg.Record) -> VersionedTask:
    return VersionedTask(task_row(row), row["version"])


def _versioned(rows: Sequence[asyncpg.Record]) -> VersionedTask | None:
    return _row(rows[0]) if rows else None


def _parts(query: ListQuery[Filter]) -> Sequence[bool]:
    """Return the parts of a list that the page can have tasks of: False with a sort key, True without one."""
    if not SORT_KEYS[query.sort].nullable:
        return (False,)
    if query.sort == "due" and "has_due" in query.filters:
        return (not query.filters["has_due"],)
    is_after_keys = query.after is not None and query.after.key is None
    is_before_nulls = query.sort == "priority" and "none" not in query.filters.get("priority", ["none"])
    return (False,) * (not is_after_keys) + (True,) * (not is_before_nulls)


def _values(query: ListQuery[Filter]) -> tuple[dict[str, Any], frozenset[Condition]]:
    """Return the parameters of the filters, and the conditions of the statement that they make necessary."""
    filters = dict(query.filters)
    values: dict[str, Any] = {}
    conditions: frozenset[Condition] = frozenset()
    if "completed" in filters:
        values["completed"] = filters.pop("completed")
        conditions |= {"completed"}
    if query.sort == "due":
        filters.pop("has_due", None)  # selects the part of the list
    if filters:
        conditions |= {"filters"}
        values |= dict.fromkeys(FILTER_PARAMETERS)
        if "search" in filters:
            filters["search"] = _contains(filters["search"])
        if "priority" in filters:
            ranks = [PRIORITIES.index(each) for each in filters.pop("priority")]
            values |= {"priorities": ranks, "no_priority": 0 in ranks}
        values["tags"] = filters.pop("tag", None)
        values = values | filters
    return values, conditions


def _contains(text: str) -> str:
    """Return the LIKE pattern for rows that contain the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
