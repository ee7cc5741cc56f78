"""Statements on a pool in memory: retries, translated errors, and the state in which a connection is returned."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import asyncpg
import pytest
import sqlalchemy
from structlog.testing import capture_logs

from backend.platform.errors import (
    ConcurrentUpdate,
    DatabaseMisconfigured,
    DatabaseTimeout,
    DatabaseUnavailable,
    ResourceNotFound,
)
from backend.platform.postgres.custom_plan import CUSTOM_PLAN
from backend.platform.postgres.database import Database
from backend.platform.postgres.pool import ConnectionPool
from backend.platform.postgres.statement import CompiledStatement, parameter
from tests.support.service import service_settings

SELECT = CompiledStatement("select one", sqlalchemy.text("SELECT 1"))
SET_PLAN = CompiledStatement("set plan", sqlalchemy.text("SELECT 2"))
ROWS: list[Any] = [(1,)]


class FakeConnection:
    """Executes prepared results: rows to return, or errors to raise."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)
        self.events: list[str] = []

    async def execute(self, command: str) -> None:
        self.events.append(command)

    async def fetch(self, _query: str, *_arguments: Any) -> Any:
        self.events.append("fetch")
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    def terminate(self) -> None:
        self.events.append("terminate")


class FakePool:
    """A pool of one connection, or an error instead of it."""

    def __init__(self, connection: FakeConnection, error: Exception | None = None) -> None:
        self.connection = connection
        self.error = error

    async def acquire(self) -> FakeConnection:
        if self.error is not None:
            raise self.error
        return self.connection

    def release(self, connection: FakeConnection) -> None:
        connection.events.append("release")

    def release_after_reset(self, connection: FakeConnection) -> None:
        connection.events.append("release after reset")


def database_on(connection: FakeConnection, error: Exception | None = None) -> Database:
    database = Database(service_settings("postgresql://db/tasks"))
    database._pool = cast("ConnectionPool", FakePool(connection, error))
    return database


async def test_statement_runs_alone_and_the_connection_is_released() -> None:
    connection = FakeConnection(ROWS)
    assert await database_on(connection).fetch(SELECT) == ROWS
    assert connection.events == ["fetch", "release"]


async def test_statement_with_a_custom_plan_runs_in_a_transaction() -> None:
    connection = FakeConnection(ROWS)
    await database_on(connection).fetch(SELECT, custom_plan=SET_PLAN)
    begin = f"BEGIN;{CUSTOM_PLAN}"
    assert connection.events == [begin, "fetch", "COMMIT", "release"]


async def test_statement_in_an_open_transaction_takes_no_connection() -> None:
    pooled, own = FakeConnection(), FakeConnection(ROWS)
    assert await database_on(pooled).fetch(SELECT, connection=own) == ROWS
    assert (pooled.events, own.events) == ([], ["fetch"])


@pytest.mark.parametrize("conflict", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError])
async def test_conflict_is_retried_once(conflict: Callable[[str], Exception]) -> None:
    connection = FakeConnection(conflict("conflict"), ROWS)
    assert await database_on(connection).fetch(SELECT) == ROWS
    connection = FakeConnection(conflict("first"), conflict("second"))
    with pytest.raises(ConcurrentUpdate):
        await database_on(connection).fetch(SELECT)
    assert connection.events == ["fetch", "release", "fetch", "release"]


@pytest.mark.parametrize(("is_read", "attempts"), [(True, 2), (False, 1)])
async def test_only_a_read_is_retried_after_a_lost_connection(*, is_read: bool, attempts: int) -> None:
    lost = [asyncpg.ConnectionDoesNotExistError("lost") for _ in range(2)]
    connection = FakeConnection(*lost)
    with pytest.raises(DatabaseUnavailable):
        await database_on(connection).fetch(SELECT, retry_on_disconnect=is_read)
    assert connection.events == ["fetch", "release"] * attempts


async def test_connection_of_a_timed_out_statement_is_reset() -> None:
    connection = FakeConnection(TimeoutError())
    with pytest.raises(DatabaseTimeout):
        await database_on(connection).fetch(SELECT)
    assert connection.events == ["fetch", "release after reset"]


async def test_connection_of_a_cancelled_statement_is_reset() -> None:
    connection = FakeConnection(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await database_on(connection).fetch(SELECT)
    assert connection.events == ["fetch", "release after reset"]


async def test_registered_violation_is_its_domain_error() -> None:
    violation = asyncpg.ForeignKeyViolationError("no such plan")
    violation.constraint_name = "tasks_plan_fkey"
    database = database_on(FakeConnection(violation, violation))
    database.register_violation("tasks_plan_fkey", lambda: ResourceNotFound("plan", 1))
    with pytest.raises(ResourceNotFound):
        await database.fetch(SELECT)
    violation.constraint_name = "another_fkey"
    with pytest.raises(DatabaseMisconfigured):
        await database.fetch(SELECT)


async def test_domain_error_of_a_transaction_is_rolled_back_and_raised() -> None:
    connection = FakeConnection()

    async def work(_connection: object) -> None:
        raise ResourceNotFound("task", 1)

    with pytest.raises(ResourceNotFound):
        await database_on(connection).transaction(work)
    assert connection.events == ["BEGIN;", "ROLLBACK", "release"]


async def test_failed_acquire_is_not_retried() -> None:
    database = database_on(FakeConnection(), TimeoutError())
    with pytest.raises(DatabaseUnavailable, match="No database connection was free"):
        await database.fetch(SELECT, retry_on_disconnect=True)
    refused = database_on(FakeConnection(), ConnectionRefusedError())
    with capture_logs() as entries, pytest.raises(DatabaseUnavailable):
        await refused.fetch(SELECT, retry_on_disconnect=True)
    assert [(entry["event"], entry["error"]) for entry in entries] == [
        ("database failure", "ConnectionRefusedError")
    ]


async def test_permanent_failure_is_logged_with_its_reason() -> None:
    database = database_on(FakeConnection(asyncpg.UndefinedTableError('relation "tasks" does not exist')))
    with capture_logs() as entries, pytest.raises(DatabaseMisconfigured):
        await database.fetch(SELECT)
    (entry,) = entries
    assert (entry["event"], entry["sqlstate"]) == ("database misconfigured", "42P01")
    assert "run `task-service migrate`" in entry["reason"]


async def test_pool_of_a_starting_service_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable, match="still starting"):
        await Database(service_settings("postgresql://db/tasks")).fetch(SELECT)


async def test_transaction_pooler_gets_the_time_limits_in_each_transaction() -> None:
    settings = service_settings("postgresql://db/tasks?lock_timeout=7", database_pooler="transaction")
    database = Database(settings)
    await database.start()  # opens no connection: DATABASE_POOL_PREWARM_SIZE is 0
    connection = FakeConnection(ROWS)
    database._pool = cast("ConnectionPool", FakePool(connection))
    await database.fetch(SELECT)
    begin, *rest = connection.events
    assert begin.startswith("BEGIN;SELECT set_config(E'statement_timeout', E'5000', True)")
    assert "set_config(E'lock_timeout', E'7', True)" in begin
    assert rest == ["fetch", "COMMIT", "release"]


async def test_router_of_shards_gets_one_statement_in_a_message_and_no_settings_before_the_shard_is_known() -> (
    None
):
    database = Database(service_settings("postgresql://db/tasks?lock_timeout=7", database_pooler="spqr"))
    await database.start()
    connection = FakeConnection(ROWS, [], ROWS)
    database._pool = cast("ConnectionPool", FakePool(connection))
    assert await database.fetch(SELECT) == ROWS
    assert await database.fetch(SELECT, custom_plan=SET_PLAN) == ROWS
    assert connection.events == ["fetch", "release", "BEGIN;", "fetch", "fetch", "COMMIT", "release"]


def shard_away() -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": "SPQRD", "M": "shard shard1: failed to find primary"})


USERS_SELECT = CompiledStatement("select of a user", sqlalchemy.select(parameter("user_id", sqlalchemy.Text)))


async def test_statement_that_the_router_prepares_on_another_shard_is_repeated_on_the_user_s() -> None:
    connection = FakeConnection(shard_away(), ROWS)
    assert await database_on(connection).fetch(USERS_SELECT, user_id="alice") == ROWS
    pin = "SELECT 1 FROM idempotency_keys WHERE user_id = 'alice' LIMIT 1"
    assert connection.events == ["fetch", "release", "BEGIN", pin, "fetch", "COMMIT", "release"]


async def test_statement_without_a_shard_of_its_own_is_not_repeated() -> None:
    connection = FakeConnection(shard_away(), shard_away())
    with pytest.raises(DatabaseUnavailable):
        await database_on(connection).fetch(USERS_SELECT, user_id="it's")
    with pytest.raises(DatabaseUnavailable):
        await database_on(connection).fetch(SELECT)
    assert connection.events == ["fetch", "release"] * 2


async def test_catalog_is_read_from_any_shard_that_answers_but_a_transaction_is_not_moved() -> None:
    async def work(connection: Any) -> Any:
        return await connection.fetch("SELECT")

    connection = FakeConnection(shard_away(), ROWS)
    assert await database_on(connection).read_catalog(work) == ROWS
    pin = "SELECT 1 FROM idempotency_keys WHERE user_id = '0' LIMIT 1"
    assert connection.events[4:] == ["BEGIN", pin, "fetch", "COMMIT", "release"]
    connection = FakeConnection(shard_away(), shard_away())
    with pytest.raises(DatabaseUnavailable):
        await database_on(connection).transaction(work)
    with pytest.raises(DatabaseUnavailable):
        await database_on(connection).transaction(work, user_id="it's")
    assert connection.events == ["BEGIN;", "fetch", "ROLLBACK", "release"] * 2
