"""The `users` table as Better Auth creates it. The service inserts rows only if no frontend owns the table."""

from datetime import datetime

from sqlalchemy import Boolean, Column, DateTime, Text, text
from sqlmodel import Field, SQLModel

__all__ = ["USERS", "User"]


class User(SQLModel, table=True):
    """A user of the frontend.

    Names, types and defaults are those of Better Auth, so that the frontend or the service can create the table.
    The service only relies on `id`, because frontends rename and add columns.
    """

    __tablename__ = "users"

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    email: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    email_verified: bool = Field(
        sa_column=Column("emailVerified", Boolean, nullable=False, server_default=text("false"))
    )
    image: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(
        sa_column=Column(
            "createdAt",
            DateTime(timezone=True),
            nullable=False,
            server_default=text("CURRENT_TIMESTAMP"),
        )
    )
    updated_at: datetime = Field(
        sa_column=Column(
            "updatedAt",
            DateTime(timezone=True),
            nullable=False,
            server_default=text("CURRENT_TIMESTAMP"),
        )
    )


USERS = SQLModel.metadata.tables["users"]
"""The SQLAlchemy table of `User`, for statements."""
