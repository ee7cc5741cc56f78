"""Deletes the expired idempotency keys of all users, in short transactions beside the traffic."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Interval, Select, any_, delete, func, literal, literal_column, select

from backend.platform.errors import ConfigurationError, DatabaseMisconfigured
from backend.platform.postgres.connection import open_connection, settings_statement
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.error_translation import translate
from backend.platform.postgres.idempotency import IDEMPOTENCY_KEYS, KEY_LIFETIME
from backend.platform.postgres.statement import CompiledStatement, parameter
from backend.platform.postgres.transaction import transaction

__all__ = ["BATCH_SIZE", "PURGE_KEYS", "PurgeTimeout", "purge"]

BATCH_SIZE: Final = 1000
"""Maximum number of keys that one transaction deletes. With 5,000, p99 of requests beside it was up to 1.9 times as long."""

_PAUSE_RATIO: Final = 4.0
"""Pause after a batch, as a multiple of the batch's duration: the slower the database, the longer the pause."""

_BEFORE_EVERY_KEY: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 60.0

_BEGIN: Final = "BEGIN;" + settings_statement(
    {
        "statement_timeout": f"{_STATEMENT_SECONDS:.0f}s",
        # A request that deletes its user's expired keys can wait for a batch that waits for the request. The batch
        # gives up before PostgreSQL detects the deadlock (`deadlock_timeout`, 1 s) and may cancel the request.
        "lock_timeout": "100ms",
        # The planner estimates the BRIN index as more expensive than an index scan of all keys, which takes longer.
        "enable_indexscan": "off",
        "enable_seqscan": "off",
    },
    is_local=True,
)

_expired: Select[Any] = (
    select(literal_column("ctid"))
    .select_from(IDEMPOTENCY_KEYS)
    .where(
        IDEMPOTENCY_KEYS.c.created_at >= parameter("since", IDEMPOTENCY_KEYS.c.created_at.type),
        IDEMPOTENCY_KEYS.c.created_at <= func.now() - literal(KEY_LIFETIME, Interval),
    )
    .limit(BATCH_SIZE)
)
_deleted = (
    delete(IDEMPOTENCY_KEYS)
    .where(literal_column("ctid") == any_(func.array(_expired.scalar_subquery())))
    .returning(IDEMPOTENCY_KEYS.c.created_at)
    .cte("deleted")
)

PURGE_KEYS = CompiledStatement(
    "purge idempotency keys", select(func.count(), func.max(_deleted.c.created_at)).select_from(_deleted)
)
"""Administrative statement without a user: deletes up to `BATCH_SIZE` expired keys that were created at or after `since`.
It returns their number and the time of the newest one."""


class PurgeTimeout(Exception):
    """The database was unreachable, or a request kept keys locked, for all of the time limit."""


async def purge(
    parameters: ConnectionParameters, *, timeout_seconds: float, report: Callable[[str], object]
) -> str:
    """Delete all expired idempotency keys, each batch in its own transaction.

    Args:
        parameters: Connection parameters of a role with the privileges SELECT and DELETE on `idempotency_keys`.
        timeout_seconds: Seconds after the last deleted batch for which transient failures are retried; 0 tries once.
        report: Called with one sentence for each failed attempt.

    Returns:
        A sentence with the number of deleted keys.

    Raises:
        ConfigurationError: The URL, the role or the database must be corrected; the message says how.
        PurgeTimeout: The time limit is reached. The deleted batches are committed.
    """
    started = time.monotonic()
    deadline = started + timeout_seconds
    keys = 0
    while True:
        try:
            async with aclosing(_delete_batches(parameters)) as batches:
                async for count in batches:
                    keys += count
                    deadline = time.monotonic() + timeout_seconds
        except Exception as error:
            failure = translate(error)
            if isinstance(failure, DatabaseMisconfigured):
                raise ConfigurationError(failure.reason) from None
            if failure is None:
                raise
            reason = f"The purge was interrupted ({type(error).__name__}) after {keys} deleted keys."
        else:
            return f"Deleted {keys} expired idempotency keys in {time.monotonic() - started:.1f} s."
        if time.monotonic() + _RETRY_SECONDS > deadline:
            raise PurgeTimeout(f"Timed out. {reason}")
        report(f"{reason} Retrying.")
        await asyncio.sleep(_RETRY_SECONDS)


async def _delete_batches(parameters: ConnectionParameters) -> AsyncGenerator[int]:
    """Delete batches until no expired key is left; yield the number of keys of each.

    A batch begins at the time where the previous one ended, to skip the dead rows before it. Keys are not exactly in the
    order of their creation, so the last batch is one without this limit.
    """
    connection = await open_connection(
        parameters, timeout_seconds=_CONNECT_SECONDS, command_timeout_seconds=_STATEMENT_SECONDS + 1
    )
    try:
        since, is_last = _BEFORE_EVERY_KEY, False
        while not is_last:
            started = time.monotonic()
            async with transaction(connection, _BEGIN):
                ((count, newest),) = await PURGE_KEYS.fetch(connection, {"since": since})
            seconds = time.monotonic() - started
            yield count
            is_last = since == _BEFORE_EVERY_KEY and count < BATCH_SIZE
            since = newest if count == BATCH_SIZE else _BEFORE_EVERY_KEY
            await asyncio.sleep(0 if is_last else _PAUSE_RATIO * seconds)
    finally:
        await connection.close(timeout=1.0)
