"""The `tasks` table, with an index for each order in which the API lists."""

from datetime import datetime

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

__all__ = ["SORT_KEYS", "TASKS", "USER_FOREIGN_KEY", "Task"]

USER_FOREIGN_KEY = "tasks_user_id_fkey"
"""The constraint that a task of a missing user violates; PostgreSQL named it so in the first migration."""


class Task(SQLModel, table=True):
    """One task of one user. The database keeps the limits too, so that no other writer breaks them."""

    __tablename__ = "tasks"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    user_id: str = Field(
        sa_column=Column(  # Better Auth's "delete user" fails without the cascade.
            Text,
            ForeignKey("users.id", ondelete="CASCADE", name=USER_FOREIGN_KEY),
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


TASKS = SQLModel.metadata.tables["tasks"]
"""The table itself, for statements."""

SORT_KEYS = {
    "created_at": TASKS.c.created_at,
    "updated_at": TASKS.c.updated_at,
    # Letters of either case side by side; "C" makes the order the same on every server.
    "title": func.lower(TASKS.c.title).collate("C"),
}
"""What each sort of the API orders by; `id` breaks ties."""

TASKS.append_constraint(
    CheckConstraint(f"char_length(title) BETWEEN 1 AND {TITLE_MAX_LENGTH}", name="tasks_title_length")
)
TASKS.append_constraint(
    CheckConstraint(f"char_length(description) <= {DESCRIPTION_MAX_LENGTH}", name="tasks_description_length")
)
for _name, _key in SORT_KEYS.items():
    # With `completed` in front for the filtered list: neither list reads past rows that it does not show.
    Index(f"ix_tasks_user_id_{_name}", TASKS.c.user_id, _key, TASKS.c.id)
    Index(f"ix_tasks_user_id_completed_{_name}", TASKS.c.user_id, TASKS.c.completed, _key, TASKS.c.id)
# For `search`, by the extensions pg_trgm and btree_gin (docs/decisions/0020-search.md).
Index(
    "ix_tasks_search",
    *(TASKS.c.user_id, TASKS.c.title, TASKS.c.description),
    postgresql_using="gin",
    postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
)
