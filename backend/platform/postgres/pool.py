"""The connection pool of a worker: opens connections on demand, closes idle ones, and serves callers in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from backend.platform.concurrency.fair_semaphore import FairSemaphore

__all__ = ["ConnectionPool"]

_MAX_AGE_SECONDS = 1800.0
"""Maximum age of a connection, so that it does not stay on an old primary that is read-only after a failover."""

_RESET_SECONDS = 2.0
"""Time limit to cancel a statement. A server that exceeds it is unreachable."""

_CLOSE_SECONDS = 1.0

type Connection = asyncpg.Connection[asyncpg.Record]


class ConnectionPool:
    """A fair pool: callers acquire a connection in order of arrival, the most recently used connection first.

    asyncpg's own pool serves new callers before waiting ones, and nearly doubles
    the CPU time of a statement (docs/decisions/0027-connection-pool.md).

    Args:
        connect: Opens a connection.
        max_size: Maximum number of connections, at least 1.
        max_idle_seconds: A connection that is idle for this time is closed. 0 disables this.
        timeout_seconds: Maximum wait for a connection, including the time to open it.
        connect_timeout_seconds: Maximum time to open a connection; None for the rest of `timeout_seconds`.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        *,
        max_size: int,
        max_idle_seconds: float,
        timeout_seconds: float,
        connect_timeout_seconds: float | None = None,
    ) -> None:
        self._connect = connect
        self.max_size = max_size
        self._max_idle_seconds = max_idle_seconds
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._loop = asyncio.get_running_loop()
        # A permit entitles its holder to one open connection.
        self._permits = FairSemaphore(max_size)
        self._opened_at: dict[Connection, float] = {}
        self._idle: deque[tuple[Connection, float]] = deque()
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._resetting: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        """Number of open connections."""
        return len(self._opened_at)

    @property
    def idle_size(self) -> int:
        """Number of open connections that are not in use."""
        return len(self._idle)

    async def prewarm(self, size: int) -> list[Exception]:
        """Open connections before they are needed. Return the errors of those that could not be opened."""
        opened = await asyncio.gather(*(self.acquire() for _ in range(size)), return_exceptions=True)
        for each in opened:
            if isinstance(each, asyncpg.Connection):
                self.release(each)
        return [each for each in opened if isinstance(each, Exception)]

    async def acquire(self) -> Connection:
        """Acquire a connection. The caller must `release` it.

        Raises:
            TimeoutError: No connection was free in time.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: No connection could be opened.
        """
        deadline = self._loop.time() + self._timeout_seconds
        if not (self._permits.try_acquire() or await self._permits.acquire(deadline)):
            raise TimeoutError
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._discard(connection)
        if self._connect_timeout_seconds is not None:
            deadline = self._loop.time() + self._connect_timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect()
        except BaseException:
            self._permits.release()
            raise
        self._opened_at[connection] = self._loop.time()
        connection.add_termination_listener(self._discard)
        return connection

    def release(self, connection: Connection) -> None:
        """Return a connection to the pool. A closed one is replaced on demand."""
        now = self._loop.time()
        if now - self._opened_at.get(connection, now) > _MAX_AGE_SECONDS:
            connection.terminate()
        if connection.is_closed():
            self._opened_at.pop(connection, None)
        else:
            self._idle.append((connection, now))
            if self._expiry_timer is None and self._max_idle_seconds:
                self._expiry_timer = self._loop.call_later(self._max_idle_seconds, self._close_expired)
        self._permits.release()

    def release_after_reset(self, connection: Connection) -> None:
        """Return a connection to the pool once the server has ended its cancelled statement, or close it after 2 s."""
        task = self._loop.create_task(self._reset(connection), name="reset connection")
        self._resetting.add(task)
        task.add_done_callback(self._resetting.discard)

    async def close(self) -> None:
        """Close every connection, after up to 1 s for those in use, whose statements are then cancelled within 1 s."""
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        deadline = self._loop.time() + _CLOSE_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                for _ in range(self.max_size):
                    if not await self._permits.acquire(deadline):
                        raise TimeoutError  # noqa: TRY301 - same as the timeout around it
                for connection in list(self._opened_at):
                    await connection.close()
        except TimeoutError:
            closing = (connection.close(timeout=_CLOSE_SECONDS) for connection in list(self._opened_at))
            await asyncio.gather(*closing, return_exceptions=True)
        self._opened_at.clear()
        self._idle.clear()

    async def _reset(self, connection: Connection) -> None:
        started = self._loop.time()
        try:
            async with asyncio.timeout(_RESET_SECONDS):
                # Either waits until the cancelled statement has ended, which may have been a BEGIN.
                await connection.execute("ROLLBACK" if connection.is_in_transaction() else "SELECT 1")
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
        except TimeoutError:
            connection.terminate()
            # The server of the other connections is as silent: each would cost a request its time limit.
            self._close_idle(started)
        except Exception:  # noqa: BLE001 - after any error the connection must not be reused
            connection.terminate()
        finally:
            self.release(connection)

    def _discard(self, connection: Any) -> None:
        """Remove a connection that the client or the server has closed."""
        self._opened_at.pop(connection, None)
        self._idle = deque(each for each in self._idle if each[0] is not connection)

    def _close_expired(self) -> None:
        """Close connections that were idle for too long, and set the timer for the next one."""
        self._close_idle(self._loop.time() - self._max_idle_seconds)
        self._expiry_timer = None
        if self._idle:
            due = self._idle[0][1] + self._max_idle_seconds
            self._expiry_timer = self._loop.call_at(due, self._close_expired)

    def _close_idle(self, since: float) -> None:
        """Close the connections that have been idle since a time of the event loop's clock, or longer."""
        while self._idle and self._idle[0][1] <= since:
            connection, _ = self._idle.popleft()
            self._opened_at.pop(connection, None)
            connection.terminate()
