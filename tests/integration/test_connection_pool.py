"""The connection pool under failures: closed, cancelled, old, idle and exhausted connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from backend.platform.postgres import pool as pool_module
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.pool import ConnectionPool
from tests.support.waiting import poll_until, timeout


@asynccontextmanager
async def pool_of(url: str, **options: Any) -> AsyncIterator[ConnectionPool]:
    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await open_connection(parse_dsn(url), timeout_seconds=60)

    pool = ConnectionPool(
        connect, **({"max_size": 2, "max_idle_seconds": 60.0, "timeout_seconds": 5.0} | options)
    )
    try:
        yield pool
    finally:
        if pool.size:
            await pool.close()


async def until_size_is(size: int, pool: ConnectionPool) -> None:
    await poll_until(lambda: pool.size == size, what=f"the pool has {size} connections")


async def server_process(pool: ConnectionPool) -> int:
    connection = await pool.acquire()
    try:
        return connection.get_server_pid()
    finally:
        pool.release(connection)


async def test_most_recently_used_connection_is_acquired_first(database_url: str) -> None:
    async with pool_of(database_url) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        pool.release(first)
        pool.release(second)
        assert await server_process(pool) == second.get_server_pid()
        assert (pool.size, pool.idle_size) == (2, 2)


async def test_idle_time_of_zero_keeps_connections_open(database_url: str) -> None:
    async with pool_of(database_url, max_idle_seconds=0) as pool:
        connection = await pool.acquire()
        pool.release(connection)
        for _ in range(10):
            await asyncio.sleep(0)
        assert (pool.idle_size, connection.is_closed()) == (1, False)


async def test_acquire_times_out(database_url: str) -> None:
    async with pool_of(database_url, max_size=1, timeout_seconds=0.1) as pool:
        borrowed = await pool.acquire()
        with pytest.raises(TimeoutError):
            await pool.acquire()
        pool.release(borrowed)
        assert await server_process(pool) == borrowed.get_server_pid()


async def test_failed_connect_releases_its_permit(database_url: str) -> None:
    attempts = 0

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        nonlocal attempts
        attempts += 1
        if attempts <= 3:
            raise ConnectionRefusedError
        return await open_connection(parse_dsn(database_url), timeout_seconds=60)

    pool = ConnectionPool(connect, max_size=1, max_idle_seconds=60, timeout_seconds=1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.acquire()
    assert pool.size == 0
    await server_process(pool)
    await pool.close()


async def test_connection_closed_by_the_server_is_not_reused(database_url: str) -> None:
    async with pool_of(database_url) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        killed = second.get_server_pid()
        pool.release(second)
        await first.fetch("SELECT pg_terminate_backend($1)", killed)
        await until_size_is(1, pool)
        assert pool.idle_size == 0
        assert await server_process(pool) != killed
        pool.release(first)


async def test_connection_lost_in_use_releases_its_permit(database_url: str) -> None:
    async with pool_of(database_url, max_size=1) as pool:
        broken = await pool.acquire()
        broken.terminate()
        pool.release(broken)
        assert pool.idle_size == 0
        await server_process(pool)
        assert pool.size == 1


async def test_idle_connections_are_closed(database_url: str) -> None:
    async with pool_of(database_url, max_idle_seconds=0.2) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        pool.release(first)
        await asyncio.sleep(0.1)
        pool.release(second)
        await until_size_is(1, pool)
        assert first.is_closed()
        assert not second.is_closed()
        await until_size_is(0, pool)
        assert second.is_closed()


async def test_old_connections_are_replaced(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool_of(database_url) as pool:
        before = await server_process(pool)
        assert await server_process(pool) == before
        monkeypatch.setattr(pool_module, "_MAX_AGE_SECONDS", 0.0)
        await server_process(pool)
        assert pool.size == 0
        assert await server_process(pool) != before


async def test_cancelled_statement_ends_before_its_connection_is_reused(database_url: str) -> None:
    async with pool_of(database_url, max_size=1) as pool:
        connection = await pool.acquire()
        await connection.execute("BEGIN")
        statement = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.1)
        statement.cancel()
        with pytest.raises(asyncio.CancelledError):
            await statement
        pool.release_after_reset(connection)
        again = await pool.acquire()
        assert again is connection
        assert not again.is_in_transaction()
        assert await again.fetchval("SELECT 1") == 1
        pool.release(again)


async def test_cancelled_statement_of_a_dead_connection_releases_its_permit(database_url: str) -> None:
    async with pool_of(database_url, max_size=1) as pool:
        connection = await pool.acquire()
        connection.terminate()
        pool.release_after_reset(connection)
        assert await server_process(pool) > 0
        assert pool.size == 1


@pytest.mark.parametrize("timeout_seconds", [0.1, 5])
async def test_closing_waits_for_those_in_use(database_url: str, timeout_seconds: float) -> None:
    async with pool_of(database_url, timeout_seconds=timeout_seconds) as pool:
        connection = await pool.acquire()
        statement = asyncio.create_task(connection.fetchval("SELECT pg_sleep(0.3)"))
        statement.add_done_callback(lambda _: pool.release(connection))
        await pool.close()
        assert statement.done()
        assert pool.size == 0


async def test_closing_does_not_wait_for_long(database_url: str) -> None:
    async with pool_of(database_url) as pool:
        connection = await pool.acquire()
        statement = asyncio.create_task(connection.fetchval("SELECT pg_sleep(3600)"))
        await asyncio.sleep(0.1)
        async with timeout(3):
            await pool.close()
        assert connection.is_closed()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await statement
