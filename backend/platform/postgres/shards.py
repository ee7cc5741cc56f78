"""Commands on every shard, and the ids of rows, which differ between shards so that users can be moved."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import dialect

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.error_translation import is_transient
from backend.platform.postgres.idempotency_purge import PurgeTimeout
from backend.platform.postgres.rollout import MigrationFailed, SchemaWaitTimeout

__all__ = ["MAX_SHARDS", "first_id", "run_on_every_shard", "separate_ids"]

MAX_SHARDS: Final = 1024
"""Increment of the ids: shard n has the ids n, n + 1024, n + 2048 and so on. It must never change."""

_RETRY_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_LOCK_TIMEOUT: Final = "5s"
_FAILURES: Final = (SchemaWaitTimeout, PurgeTimeout, ConfigurationError, MigrationFailed)
"""In order: where shards fail differently, the first one is raised, since another run may succeed after a time-out."""

_quote = dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


async def run_on_every_shard(
    shards: Sequence[ConnectionParameters],
    work: Callable[[int, ConnectionParameters], Awaitable[str]],
    *,
    timeout_seconds: float,
    say: Callable[[str], object],
    report: Callable[[str], object],
) -> None:
    """Run a command on the shards one after the other. The failure of one does not keep the others waiting.

    Args:
        shards: Connection parameters of each shard.
        work: Called with the number of the shard, from 1, and its parameters; tries once and returns a sentence.
        timeout_seconds: Seconds for which the shards that time out are tried again; 0 tries each once.
        say: Called with one sentence for each shard that has succeeded.
        report: Called with one sentence for each failed attempt.

    Raises:
        ConfigurationError, MigrationFailed, PurgeTimeout, SchemaWaitTimeout: A shard failed; the message names each one.
    """
    deadline = time.monotonic() + timeout_seconds
    pending = dict(enumerate(shards, 1))
    failures: dict[int, Exception] = {}
    while pending:
        for number, parameters in list(pending.items()):
            name = _name(number, parameters)
            failures.pop(number, None)
            try:
                say(f"{name}: {await work(number, parameters)}")
            except _FAILURES as error:
                failures[number] = type(error)(f"{name}: {error}")
                report(str(failures[number]))
                if isinstance(error, (SchemaWaitTimeout, PurgeTimeout)):
                    continue
            del pending[number]
        if not pending or time.monotonic() + _RETRY_SECONDS > deadline:
            break
        await asyncio.sleep(_RETRY_SECONDS)
    if failures:
        kind = next(kind for kind in _FAILURES if any(isinstance(each, kind) for each in failures.values()))
        names = "; ".join(str(failures[number]) for number in sorted(failures))
        raise kind(f"{len(failures)} of {len(shards)} shards failed. {names}")


async def separate_ids(parameters: ConnectionParameters, tables: Sequence[Table], number: int) -> None:
    """Make the generated ids of a shard differ from those of every other one. Existing rows keep their ids.

    Args:
        parameters: Connection parameters of the tables' owner.
        tables: The migrated tables.
        number: Number of the shard, 1 to `MAX_SHARDS`. It must stay the same.

    Raises:
        ConfigurationError: The shard has another number already.
        MigrationFailed: The role may not change a table.
        SchemaWaitTimeout: The database does not answer, or a table is locked.
    """
    try:
        await _separate_ids(parameters, tables, number)
    except ConfigurationError:
        raise
    except Exception as error:
        if is_transient(error):
            raise SchemaWaitTimeout(f"The ids could not be changed ({type(error).__name__}).") from None
        raise MigrationFailed(f"The ids could not be changed: {error}") from error


async def _separate_ids(parameters: ConnectionParameters, tables: Sequence[Table], number: int) -> None:
    connection = await open_connection(parameters, timeout_seconds=_CONNECT_SECONDS)
    try:
        columns = [column for table in tables for column in table.columns if column.identity is not None]
        for column in columns:
            table, name = _quote(column.table.name), _quote(column.name)
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                sequence = await connection.fetchval(
                    "SELECT pg_get_serial_sequence($1, $2)", table, column.name
                )
                increment = "SELECT seqincrement FROM pg_sequence WHERE seqrelid = $1::regclass"
                is_separate = await connection.fetchval(increment, sequence) == MAX_SHARDS
                if not is_separate:
                    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                last: int = await connection.fetchval(f"SELECT last_value FROM {sequence}")  # noqa: S608 - a name from the catalog
                if is_separate and last % MAX_SHARDS != number % MAX_SHARDS:
                    raise ConfigurationError(
                        f"it has the ids of shard {last % MAX_SHARDS}: keep the order of DATABASE_SHARD_URLS, and add"
                        " new shards at the end"
                    )
                if not is_separate:
                    await connection.execute(
                        f"ALTER TABLE {table} ALTER {name} SET INCREMENT BY {MAX_SHARDS} RESTART WITH {first_id(last, number)}"
                    )
    finally:
        await connection.close(timeout=1.0)


def first_id(last: int, number: int) -> int:
    """Return the first id of a shard that is above the last id of its table."""
    return last + 1 + (number - last - 1) % MAX_SHARDS


def _name(number: int, parameters: ConnectionParameters) -> str:
    hosts = ",".join(f"{host.name}:{host.port}" for host in parameters.hosts)
    return f"shard {number} ({hosts}/{parameters.database})"
