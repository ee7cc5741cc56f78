"""The `idempotency_keys` table: which POST made which task, for 24 hours."""

from datetime import datetime

from sqlalchemy import Column, DateTime, ForeignKey, Index, LargeBinary, Text, func
from sqlmodel import Field, SQLModel

__all__ = ["IDEMPOTENCY_KEYS", "IdempotencyKey"]


class IdempotencyKey(SQLModel, table=True):
    """The stored answer of one POST, written in the transaction that made the task."""

    __tablename__ = "idempotency_keys"

    user_id: str = Field(sa_column=Column(Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )


IDEMPOTENCY_KEYS = SQLModel.metadata.tables["idempotency_keys"]
"""The table itself, for statements."""

# To forget the expired keys of a user without reading the others.
Index("ix_idempotency_keys_user_id_created_at", IDEMPOTENCY_KEYS.c.user_id, IDEMPOTENCY_KEYS.c.created_at)
