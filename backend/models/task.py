"""The `tasks` table with an index for each order of the list, and the rows that are read from it."""

from datetime import datetime

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    func,
    text,
)
from sqlmodel import Field, SQLModel

from backend.schemas.limits import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH
from backend.schemas.task_page import SORT_KEYS

__all__ = ["TASKS", "Task", "TaskRow", "VersionedTask"]


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


class TaskRow(msgspec.Struct, frozen=True, gc=False):
    """The columns of a task in the order of `TaskResponse`. A row is encoded as JSON without validation.

    A unit test compares the fields with those of `TaskResponse`. Encoding a row takes a fifth of the time of
    validation and dump by Pydantic. A new field needs a default: stored results of idempotency keys lack it.
    """

    id: int
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


class VersionedTask(msgspec.Struct, frozen=True, gc=False):
    """A task with the version of its ETag."""

    task: TaskRow
    version: int


TASKS = SQLModel.metadata.tables["tasks"]
"""The SQLAlchemy table of `Task`, for statements."""

TASKS.append_constraint(
    CheckConstraint(f"char_length(title) BETWEEN 1 AND {TITLE_MAX_LENGTH}", name="tasks_title_length")
)
TASKS.append_constraint(
    CheckConstraint(f"char_length(description) <= {DESCRIPTION_MAX_LENGTH}", name="tasks_description_length")
)
for _name, _sort_key in SORT_KEYS.items():
    _key = _sort_key.expression(TASKS.c[_name])
    # The second index starts with `completed`, so that no list reads rows that it does not return.
    Index(f"ix_tasks_user_id_{_name}", TASKS.c.user_id, _key, TASKS.c.id)
    Index(f"ix_tasks_user_id_completed_{_name}", TASKS.c.user_id, TASKS.c.completed, _key, TASKS.c.id)
# The index for `search`; needs the extensions pg_trgm and btree_gin (docs/decisions/0020-search.md).
Index(
    "ix_tasks_search",
    *(TASKS.c.user_id, TASKS.c.title, TASKS.c.description),
    postgresql_using="gin",
    postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
)
