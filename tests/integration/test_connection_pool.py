"""The connection pool under failures: closed, cancelled, old, idle and exhausted connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.pool import ConnectionPool
from tests.support.waiting import poll_until, timeout


@asynccontextmanager
async def pool_of(url: str, **options: Any) -> AsyncIterator[ConnectionPool]:
    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await open_connection(parse_dsn(url), timeout_seconds=60)

    defaults = {
        "max_size": 2,
        "max_idle_seconds": 60.0,
        "timeout_seconds": 5.0,
        "connect_timeout_seconds": 60.0,  # a slow machine is not what these tests are about
    }
    pool = ConnectionPool(connect, **(defaults | options))
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
async def test_closing_waits_for_those_in_use(
    database_url: str, timeout_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.platform.postgres.pool._CLOSE_SECONDS", 60)
    async with pool_of(database_url, timeout_seconds=timeout_seconds) as pool:
        connection = await pool.acquire()
        closing = asyncio.create_task(pool.close())
        await connection.execute("SELECT pg_sleep(0.3)")
        assert not closing.done()
        pool.release(connection)
        await closing
        assert pool.size == 0


async def test_closing_does_not_wait_for_long(database_url: str) -> None:
    async with pool_of(database_url) as pool:
        connection = await pool.acquire()
        statement = asyncio.create_task(connection.fetchval("SELECT pg_sleep(3600)"))
        await asyncio.sleep(0.1)
        async with timeout(3):
            await pool.close()
        assert connection.is_closed()
        with pytest.raises(asyncpg.QueryCanceledError):
            await statement
