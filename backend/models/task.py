"""The `tasks` table with an index for each order of the list, and the rows that are read from it."""

from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    func,
    literal_column,
    text,
    type_coerce,
)
from sqlmodel import Field, SQLModel

from backend.schemas.limits import Priority
from backend.schemas.task_page import SORT_KEYS

__all__ = ["DUE", "TASKS", "Task", "TaskRow", "VersionedTask"]


class Task(SQLModel, table=True):
    """A task of a user. A constraint trigger of the migrations enforces the limits of the schemas for other writers too."""

    __tablename__ = "tasks"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    user_id: str = Field(
        sa_column=Column(  # Without the cascade, Better Auth's "delete user" fails.
            Text,
            ForeignKey("users.id", ondelete="CASCADE", name="tasks_user_id_fkey"),
            nullable=False,
        )
    )
    title: str = Field(sa_column=Column(Text, nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))
    completed: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )
    updated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )
    version: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    # NULL for a task without one: such rows take no more space than before these columns existed.
    priority: int | None = Field(default=None, sa_column=Column(SmallInteger))
    due_date: date | None = Field(default=None, sa_column=Column(Date))
    due_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    tags: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))


class TaskRow(msgspec.Struct, frozen=True, gc=False):
    """The columns of a task in the order of `TaskResponse`. A row is encoded as JSON without validation.

    A unit test compares the fields with those of `TaskResponse`; `due` is the text of a date or a date-time. Encoding a row takes a fifth of the time of
    validation and dump by Pydantic. A new field needs a default: stored results of idempotency keys lack it.
    """

    id: int
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime
    priority: Priority = "none"
    due: str | None = None
    tags: tuple[str, ...] = ()


class VersionedTask(msgspec.Struct, frozen=True, gc=False):
    """A task with the version of its ETag."""

    task: TaskRow
    version: int


TASKS = SQLModel.metadata.tables["tasks"]
"""The SQLAlchemy table of `Task`, for statements."""

DUE: ColumnElement[Any] = type_coerce(
    func.coalesce(
        TASKS.c.due_at,
        func.timezone(
            literal_column("'UTC'"), TASKS.c.due_date.op("+")(literal_column("time '23:59:59.999999'"))
        ),
    ),
    DateTime(timezone=True),
)
"""The instant by which `due` sorts: a date counts as its last microsecond in UTC. NULL without a due date."""

_is_due = TASKS.c.due_date.is_not(None) | TASKS.c.due_at.is_not(None)
_is_not_due = TASKS.c.due_date.is_(None) & TASKS.c.due_at.is_(None)
for _name, _sort_key in SORT_KEYS.items():
    _key = _sort_key.expression(DUE if _name == "due" else TASKS.c[_name])
    # Starts with `completed`, so that no list reads rows with another status. A list of all tasks merges two scans.
    Index(
        f"ix_tasks_user_id_completed_{_name}",
        *(TASKS.c.user_id, TASKS.c.completed, _key, TASKS.c.id),
        postgresql_where=_is_due if _name == "due" else None,
    )
Index(
    "ix_tasks_user_id_completed_not_due",
    # With `due_date`, which is NULL, as a sort key that the primary key does not have: the planner prefers that one.
    *(TASKS.c.user_id, TASKS.c.completed, TASKS.c.due_date, TASKS.c.id),
    postgresql_where=_is_not_due,
)
# The default list is the most frequent one: a scan of one index takes three quarters of the time of a merge.
Index("ix_tasks_user_id_created_at", TASKS.c.user_id, TASKS.c.created_at, TASKS.c.id)
# The index for `search` and `tag`; needs the extensions pg_trgm and btree_gin (docs/decisions/0020-search.md).
Index(
    "ix_tasks_search_and_tags",
    *(TASKS.c.user_id, TASKS.c.completed, TASKS.c.title, TASKS.c.description, TASKS.c.tags),
    postgresql_using="gin",
    postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
)
