"""The `tasks` table with an index for each order of the list, and the rows that are read from it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
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

from backend.schemas.limits import (
    DESCRIPTION_MAX_LENGTH,
    PRIORITIES,
    TAGS_MAX_COUNT,
    TITLE_MAX_LENGTH,
    Priority,
)
from backend.schemas.task_page import SORT_KEYS

__all__ = ["DUE", "TASKS", "Task", "TaskRow", "VersionedTask"]


class Task(SQLModel, table=True):
    """A task of a user. The constraints enforce the limits of the schemas for other writers too."""

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
    tags: Sequence[str] = ()


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

for _name, _condition in {
    "title_length": f"char_length(title) BETWEEN 1 AND {TITLE_MAX_LENGTH}",
    "description_length": f"char_length(description) <= {DESCRIPTION_MAX_LENGTH}",
    "priority_range": f"priority BETWEEN 1 AND {len(PRIORITIES) - 1}",
    "due_forms": "due_date IS NULL OR due_at IS NULL",
    "due_date_range": "due_date BETWEEN '1970-01-01' AND '9999-12-31'",
    "due_at_range": "due_at >= '1970-01-01 00:00:00Z' AND due_at < '10000-01-01 00:00:00Z'",
    "tags_count": f"array_ndims(tags) = 1 AND cardinality(tags) BETWEEN 1 AND {TAGS_MAX_COUNT}",
    "tags_valid": "tags IS NULL OR tasks_tags_are_valid(tags)",
}.items():
    TASKS.append_constraint(CheckConstraint(_condition, name=f"tasks_{_name}"))

for _name, _sort_key in SORT_KEYS.items():
    _key = _sort_key.expression(DUE if _name == "due" else TASKS.c[_name])
    # Starts with `completed`, so that no list reads rows with another status. A list of all tasks merges two scans
    # (docs/decisions/0040-task-indexes.md).
    Index(f"ix_tasks_user_id_completed_{_name}", TASKS.c.user_id, TASKS.c.completed, _key, TASKS.c.id)
# The indexes for `search` and `tag`; need the extensions pg_trgm and btree_gin (docs/decisions/0020-search.md).
Index(
    "ix_tasks_search",
    *(TASKS.c.user_id, TASKS.c.title, TASKS.c.description),
    postgresql_using="gin",
    postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
)
Index(
    "ix_tasks_tags",
    *(TASKS.c.user_id, TASKS.c.completed, TASKS.c.tags),
    postgresql_using="gin",
    postgresql_where=TASKS.c.tags.is_not(None),
)
