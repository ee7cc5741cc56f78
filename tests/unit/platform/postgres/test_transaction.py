"""Transactions: COMMIT at the end, ROLLBACK after an error, and connections that must not be reused."""

import asyncio
from typing import cast

import asyncpg
import pytest

from backend.platform.postgres.transaction import server_settings, transaction
from tests.support.service import service_settings


class FakeConnection:
    """Records the commands; those in `failures` fail."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.commands: list[str] = []

    async def execute(self, command: str) -> None:
        self.commands.append(command)
        if command in self.failures:
            raise self.failures[command]

    def terminate(self) -> None:
        self.commands.append("terminate")


async def run(connection: FakeConnection, error: BaseException | None = None) -> None:
    async with transaction(cast("asyncpg.Connection[asyncpg.Record]", connection), "BEGIN"):
        connection.commands.append("work")
        if error is not None:
            raise error


async def test_transaction_is_committed_at_its_end() -> None:
    connection = FakeConnection()
    await run(connection)
    assert connection.commands == ["BEGIN", "work", "COMMIT"]


@pytest.mark.parametrize("error", [ValueError(), asyncpg.DeadlockDetectedError(), asyncio.CancelledError()])
async def test_error_is_rolled_back_and_raised(error: BaseException) -> None:
    connection = FakeConnection()
    with pytest.raises(type(error)):
        await run(connection, error)
    assert connection.commands == ["BEGIN", "work", "ROLLBACK"]


async def test_connection_whose_rollback_fails_is_closed_and_the_first_error_is_raised() -> None:
    connection = FakeConnection(ROLLBACK=asyncpg.InterfaceError("closed"))
    with pytest.raises(ValueError, match="first"):
        await run(connection, ValueError("first"))
    assert connection.commands == ["BEGIN", "work", "ROLLBACK", "terminate"]


async def test_silent_server_is_not_asked_for_a_rollback() -> None:
    connection = FakeConnection()
    with pytest.raises(TimeoutError):
        await run(connection, TimeoutError())
    assert connection.commands == ["BEGIN", "work"]


async def test_failed_commit_is_an_error() -> None:
    connection = FakeConnection(COMMIT=asyncpg.SerializationError("at commit"))
    with pytest.raises(asyncpg.SerializationError):
        await run(connection)
    assert connection.commands == ["BEGIN", "work", "COMMIT"]


def test_time_limits_are_in_milliseconds() -> None:
    settings = service_settings(
        "postgresql://db/tasks", database_statement_timeout_seconds=1.5, database_lock_timeout_seconds=0.25
    )
    assert server_settings(settings) == {
        "statement_timeout": "1500",
        "lock_timeout": "250",
        "idle_in_transaction_session_timeout": "10000",
        "plan_cache_mode": "force_generic_plan",
    }
