"""Idempotency keys: the stored result of each keyed POST (draft-ietf-httpapi-idempotency-key-header)."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Interval,
    LargeBinary,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlmodel import Field, SQLModel

from backend.platform.errors import IdempotencyKeyInProgress, IdempotencyKeyReused
from backend.platform.postgres.database import Database
from backend.platform.postgres.statement import CompiledStatement, Connection, parameter

__all__ = ["IDEMPOTENCY_KEYS", "KEY_LIFETIME", "IdempotencyKey", "IdempotencyStore"]

KEY_LIFETIME: Final = timedelta(hours=24)
"""Age at which a key expires."""


class IdempotencyKey(SQLModel, table=True):
    """The stored result of one POST, written in the transaction of its INSERT."""

    __tablename__ = "idempotency_keys"

    user_id: str = Field(sa_column=Column(Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )


IDEMPOTENCY_KEYS = SQLModel.metadata.tables["idempotency_keys"]
"""The table for statements."""

# For the deletion of a user's expired keys.
Index("ix_idempotency_keys_user_id_created_at", IDEMPOTENCY_KEYS.c.user_id, IDEMPOTENCY_KEYS.c.created_at)
# For the purge: keys are stored in the order of their creation, so a BRIN index of a few pages is enough.
Index(
    "ix_idempotency_keys_created_at",
    IDEMPOTENCY_KEYS.c.created_at,
    postgresql_using="brin",
    postgresql_with={"autosummarize": "on"},
)

_user_id = parameter("user_id", Text)
_key = parameter("key", Text)
_is_expired = IDEMPOTENCY_KEYS.c.created_at <= func.now() - literal(KEY_LIFETIME, Interval)

_write_to_wal = func.pg_logical_emit_message(true(), literal("", Text), literal("", Text))
"""Makes a replay wait for the synchronous standby, as only a commit with WAL does: the first request's commit may still
wait, or its wait may have been cancelled. FOR UPDATE has the same effect but needs the UPDATE privilege."""

LOCK_KEY = CompiledStatement(
    "lock idempotency key",
    # The lock ends with the transaction: it works through PgBouncer and needs no unlock. The count makes the statement
    # name a table and the user, so that a router sends it to the user's shard, and gives one row also without a key.
    select(
        func.pg_try_advisory_xact_lock(
            func.hashtextextended(_user_id + literal(" ", Text) + _key, literal(0, BigInteger))
        ),
        func.count(),
    ).where(IDEMPOTENCY_KEYS.c.user_id == _user_id, IDEMPOTENCY_KEYS.c.key == _key),
)

FIND_KEY = CompiledStatement(
    "select idempotency key",
    select(IDEMPOTENCY_KEYS.c.fingerprint, IDEMPOTENCY_KEYS.c.answer, _write_to_wal).where(
        IDEMPOTENCY_KEYS.c.user_id == _user_id, IDEMPOTENCY_KEYS.c.key == _key, ~_is_expired
    ),
)

STORE_KEY = CompiledStatement(
    "insert idempotency key",
    insert(IDEMPOTENCY_KEYS).values(
        user_id=_user_id,
        key=_key,
        fingerprint=parameter("fingerprint", LargeBinary),
        answer=parameter("answer", LargeBinary),
    ),
)

DELETE_EXPIRED_KEYS = CompiledStatement(
    "delete idempotency keys",
    delete(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.user_id == _user_id, _is_expired),
)


class IdempotencyStore:
    """Runs a creation at most once per user and key, and replays its result for 24 hours.

    Args:
        database: Where the keys and the created rows are stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run[Result](
        self,
        user_id: str,
        key: str,
        fingerprint: bytes,
        create: Callable[[Connection], Awaitable[Result]],
        result_type: type[Result],
    ) -> tuple[Result, bool]:
        """Run `create` and store its result in one transaction, or return the stored result of the key.

        Args:
            user_id: The owner of the key.
            key: The Idempotency-Key, 1 to 255 characters.
            fingerprint: Digest of the request, different for each kind of resource and each body.
            create: Writes the row on the transaction's connection.
            result_type: The msgspec type as which a stored result is read.

        Returns:
            The result, and whether this call created it.

        Raises:
            IdempotencyKeyInProgress: Another request with this key is running.
            IdempotencyKeyReused: The key was used with another request.
            DomainError: See `Database.transaction`.
        """

        async def work(connection: Connection) -> tuple[Result, bool]:
            async def run(statement: CompiledStatement, **values: Any) -> list[asyncpg.Record]:
                return await statement.fetch(connection, {"user_id": user_id, "key": key} | values)

            if not (await run(LOCK_KEY))[0][0]:
                raise IdempotencyKeyInProgress(
                    "The first request with this Idempotency-Key is still running."
                )
            if found := await run(FIND_KEY):
                if found[0]["fingerprint"] != fingerprint:
                    raise IdempotencyKeyReused("This Idempotency-Key was used with another body.")
                return msgspec.json.decode(found[0]["answer"], type=result_type), False
            await run(DELETE_EXPIRED_KEYS)
            result = await create(connection)
            await run(STORE_KEY, fingerprint=fingerprint, answer=msgspec.json.encode(result))
            return result, True

        return await self._database.transaction(work, user_id=user_id)
