"""The connection pool with connections in memory: order, limits, idle time, age and failures."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import asyncpg
import pytest

from backend.platform.postgres import pool as pool_module
from backend.platform.postgres.pool import ConnectionPool
from tests.support.virtual_time import in_virtual_time


class FakeConnection:
    """The part of an asyncpg connection that the pool uses."""

    def __init__(self) -> None:
        self.is_terminated = False
        self.commands: list[str] = []
        self.is_silent = False
        self.reset_error: Exception | None = None
        self.listeners: list[Callable[[Any], None]] = []

    def is_closed(self) -> bool:
        return self.is_terminated

    def terminate(self) -> None:
        self.is_terminated = True

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        await asyncio.sleep(timeout or 0)
        self.is_terminated = True

    async def execute(self, command: str) -> None:
        self.commands.append(command)
        if self.reset_error:
            raise self.reset_error
        if self.is_silent:
            await asyncio.Future()

    def is_in_transaction(self) -> bool:
        return self.commands == ["SELECT 1"]  # a BEGIN was cancelled too late

    def add_termination_listener(self, listener: Callable[[Any], None]) -> None:
        self.listeners.append(listener)

    def lose(self) -> None:
        """End the connection as the server does."""
        self.is_terminated = True
        for listener in self.listeners:
            listener(self)


class Connections:
    """Opens connections; `failures` are raised first, and each opening takes `seconds`."""

    def __init__(self, *failures: Exception, seconds: float = 0) -> None:
        self.failures = list(failures)
        self.seconds = seconds
        self.opened = 0

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        await asyncio.sleep(self.seconds)
        if self.failures:
            raise self.failures.pop(0)
        self.opened += 1
        return cast("asyncpg.Connection[asyncpg.Record]", FakeConnection())


def pool_of(connections: Connections | None = None, **options: Any) -> ConnectionPool:
    defaults: dict[str, Any] = {"max_size": 2, "max_idle_seconds": 60.0, "timeout_seconds": 5.0}
    return ConnectionPool((connections or Connections()).connect, **(defaults | options))


async def acquire(pool: ConnectionPool) -> Any:
    return await pool.acquire()


@in_virtual_time
async def test_most_recently_used_connection_is_acquired_first() -> None:
    pool = pool_of()
    first, second = await acquire(pool), await acquire(pool)
    pool.release(first)
    pool.release(second)
    assert (pool.size, pool.idle_size) == (2, 2)
    assert [await acquire(pool), await acquire(pool)] == [second, first]


@in_virtual_time
async def test_idle_connections_are_closed_each_after_its_time() -> None:
    pool = pool_of(max_idle_seconds=60)
    first, second = await acquire(pool), await acquire(pool)
    pool.release(first)
    await asyncio.sleep(30)
    pool.release(second)
    await asyncio.sleep(31)
    assert (first.is_closed(), second.is_closed(), pool.size, pool.idle_size) == (True, False, 1, 1)
    await asyncio.sleep(30)
    assert (second.is_closed(), pool.size, pool.idle_size) == (True, 0, 0)


@in_virtual_time
async def test_connection_that_is_used_again_is_not_idle() -> None:
    pool = pool_of(max_idle_seconds=60)
    for _ in range(5):
        connection = await acquire(pool)
        pool.release(connection)
        await asyncio.sleep(50)
    assert not connection.is_closed()


@in_virtual_time
async def test_idle_time_of_zero_keeps_connections_open() -> None:
    pool = pool_of(max_idle_seconds=0)
    connection = await acquire(pool)
    pool.release(connection)
    await asyncio.sleep(1_000_000)
    assert (pool.idle_size, connection.is_closed()) == (1, False)


@in_virtual_time
async def test_acquire_times_out_and_the_pool_recovers() -> None:
    pool = pool_of(max_size=1, timeout_seconds=5)
    borrowed = await acquire(pool)
    with pytest.raises(TimeoutError):
        await pool.acquire()
    assert asyncio.get_running_loop().time() == 5
    pool.release(borrowed)
    assert await acquire(pool) is borrowed


@in_virtual_time
async def test_opening_a_connection_counts_towards_the_time_limit() -> None:
    connections = Connections(seconds=10)
    with pytest.raises(TimeoutError):
        await pool_of(connections, timeout_seconds=5).acquire()
    assert await pool_of(connections, timeout_seconds=5, connect_timeout_seconds=15).acquire()


@in_virtual_time
async def test_failed_connect_releases_its_permit() -> None:
    pool = pool_of(Connections(*[ConnectionRefusedError()] * 3), max_size=1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.acquire()
    assert pool.size == 0
    assert await acquire(pool)


@in_virtual_time
async def test_cancelled_connect_releases_its_permit() -> None:
    pool = pool_of(Connections(seconds=1), max_size=1)
    waiting = asyncio.create_task(acquire(pool))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await acquire(pool)


@in_virtual_time
async def test_connection_lost_while_idle_is_not_reused() -> None:
    pool = pool_of()
    lost = await acquire(pool)
    pool.release(lost)
    lost.lose()
    assert (pool.size, pool.idle_size) == (0, 0)
    assert await acquire(pool) is not lost


@in_virtual_time
async def test_connection_lost_in_use_releases_its_permit() -> None:
    pool = pool_of(max_size=1)
    broken = await acquire(pool)
    broken.terminate()
    pool.release(broken)
    assert (pool.size, pool.idle_size) == (0, 0)
    assert await acquire(pool) is not broken
    assert pool.size == 1


@in_virtual_time
async def test_old_connections_are_replaced() -> None:
    pool = pool_of(max_idle_seconds=0)
    old = await acquire(pool)
    await asyncio.sleep(pool_module._MAX_AGE_SECONDS)
    pool.release(old)
    assert await acquire(pool) is old
    await asyncio.sleep(1)
    pool.release(old)
    assert (old.is_closed(), pool.size) == (True, 0)
    assert await acquire(pool) is not old


@in_virtual_time
async def test_connection_is_reused_after_its_reset() -> None:
    pool = pool_of(max_size=1)
    connection = await acquire(pool)
    pool.release_after_reset(connection)
    assert pool.idle_size == 0  # its statement may still run
    assert await acquire(pool) is connection
    assert connection.commands == ["SELECT 1", "ROLLBACK"]


@in_virtual_time
async def test_connection_whose_reset_fails_is_closed() -> None:
    pool = pool_of(max_size=1)
    connection = await acquire(pool)
    connection.reset_error = asyncpg.InterfaceError("broken")
    pool.release_after_reset(connection)
    assert await acquire(pool) is not connection
    assert (connection.is_closed(), pool.size) == (True, 1)


@in_virtual_time
async def test_silent_server_loses_its_idle_connections_too() -> None:
    pool = pool_of(max_size=3)
    silent, idle, later = [await acquire(pool) for _ in range(3)]
    pool.release(idle)
    silent.is_silent = True
    pool.release_after_reset(silent)
    await asyncio.sleep(pool_module._RESET_SECONDS / 2)
    pool.release(later)  # has just worked
    await asyncio.sleep(pool_module._RESET_SECONDS)
    assert [each.is_closed() for each in (silent, idle, later)] == [True, True, False]
    assert (pool.size, pool.idle_size) == (1, 1)


@in_virtual_time
async def test_close_waits_for_a_connection_in_use() -> None:
    pool = pool_of(max_idle_seconds=0)
    connection = await acquire(pool)
    asyncio.get_running_loop().call_later(pool_module._CLOSE_SECONDS / 2, pool.release, connection)
    await pool.close()
    assert asyncio.get_running_loop().time() == pool_module._CLOSE_SECONDS / 2
    assert (connection.is_closed(), pool.size, pool.idle_size) == (True, 0, 0)


@in_virtual_time
async def test_close_does_not_wait_for_long() -> None:
    pool = pool_of()
    connection = await acquire(pool)
    await pool.close()
    # The second half cancels the statement at the server.
    assert asyncio.get_running_loop().time() == 2 * pool_module._CLOSE_SECONDS
    assert (connection.is_closed(), pool.size) == (True, 0)
