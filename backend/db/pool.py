"""The database as the repository sees it: statements run on a pool of connections, failures in the domain's words."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from backend.config import Settings
from backend.db.address import DatabaseAddress, parse_address
from backend.db.failures import is_connection_lost, is_retriable_conflict, translate
from backend.db.session import server_settings, settings_sql, transaction
from backend.db.statement import Connection, Statement
from backend.errors import DatabaseUnavailable
from backend.observability.metrics import (
    observe_connection_failure,
    observe_connection_timeout,
    observe_connection_wait,
)

__all__ = ["Database"]

_CLIENT_MARGIN_SECONDS = 1.0
"""How much longer than the server's own limit we wait: only for a connection that has gone silent."""

_REPLAN = "SET LOCAL plan_cache_mode = force_custom_plan"

_log = structlog.get_logger()


class Database:
    """A pool of asyncpg connections to one PostgreSQL.

    A connection is held for the length of a statement or of a transaction, never while an
    answer is made. No session state is ever set, so connections are not reset between uses.

    Args:
        settings: Addresses, sizes and time limits.
        url: Overrides the settings' address; used for the embedded PostgreSQL.
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self._settings = settings
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        # First come, first served: in the pool's own queue a newcomer passes those who wait.
        self._turns = asyncio.Semaphore(settings.database_pool_max_size)
        self._through_pooler = False
        self._transaction_sql = ""

    async def start(self) -> None:
        """Open the pool. A database that is away is no error: requests answer 503 until it is there.

        Raises:
            ConfigurationError: The address is not a PostgreSQL URL.
        """
        asyncio.get_running_loop().set_exception_handler(_forget_abandoned_lookups)
        self._through_pooler = self._address().transaction_pooler
        self._transaction_sql = settings_sql(self._settings) if self._through_pooler else ""
        self._pool = await asyncpg.create_pool(
            connect=self._connect,
            reset=_no_reset,
            # The pool itself opens connections on demand, so that starting needs no database.
            min_size=0,
            max_size=self._settings.database_pool_max_size,
            max_inactive_connection_lifetime=self._settings.database_connection_max_idle_seconds,
            # Prepared statements do not survive a pooler that changes the server between transactions.
            statement_cache_size=0 if self._through_pooler else 1024,
            timeout=self._settings.database_pool_timeout_seconds,
            command_timeout=self._settings.database_statement_timeout_seconds + _CLIENT_MARGIN_SECONDS,
        )
        await self._warm_up(self._pool)

    async def stop(self) -> None:
        """Close every connection; those in use get a second to end."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(1.0):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """The started pool; only its sizes are for others to read."""
        if self._pool is None:
            raise DatabaseUnavailable("The service is still starting.")
        return self._pool

    async def fetch(
        self, statement: Statement, *, may_repeat: bool = False, replan: bool = False, **values: Any
    ) -> list[asyncpg.Record]:
        """Run one statement, which is its own transaction.

        Args:
            statement: What to run.
            may_repeat: The statement only reads, so it is run again when its connection was lost.
            replan: The best plan depends on the values, so none is kept; costs three round trips.
            values: The statement's parameters.

        Returns:
            Its rows.

        Raises:
            DomainError: See `failures.translate`.
        """

        async def work(connection: Connection) -> list[asyncpg.Record]:
            if replan:
                await connection.fetch(_REPLAN)
            return await statement.fetch(connection, values)

        in_transaction = self._through_pooler or replan
        return await self._run(work, in_transaction=in_transaction, may_repeat=may_repeat)

    async def transaction[Result](self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run several statements in one transaction, committed before this returns.

        Args:
            work: Called with the open transaction; called once more when a concurrent
                transaction made PostgreSQL roll this one back.

        Raises:
            DomainError: What `work` raised, or see `failures.translate`; rolled back.
        """
        return await self._run(work, in_transaction=True, may_repeat=False)

    async def _run[Result](
        self, work: Callable[[Connection], Awaitable[Result]], *, in_transaction: bool, may_repeat: bool
    ) -> Result:
        try:
            return await self._attempt(work, in_transaction=in_transaction)
        except Exception as error:
            if not (is_retriable_conflict(error) or (may_repeat and is_connection_lost(error))):
                raise _domain_error(error) from error
        try:
            return await self._attempt(work, in_transaction=in_transaction)
        except Exception as error:
            raise _domain_error(error) from error

    async def _attempt[Result](
        self, work: Callable[[Connection], Awaitable[Result]], *, in_transaction: bool
    ) -> Result:
        async with self._connection() as connection:
            if not in_transaction:
                return await work(connection)
            async with transaction(connection, self._transaction_sql):
                return await work(connection)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        pool = self.pool
        started = perf_counter()
        try:
            connection = await self._acquire(pool)
        except TimeoutError as error:
            observe_connection_timeout()
            raise DatabaseUnavailable("No database connection was free in time. Try again later.") from error
        except Exception as error:
            # Here and not where statements fail: to connect again at once would only double the wait.
            raise _domain_error(error) from error
        observe_connection_wait(perf_counter() - started)
        try:
            yield connection
        except TimeoutError:
            # The server may still be at it, or be gone without a word: no more use of this connection.
            connection.terminate()
            raise
        finally:
            try:
                await pool.release(connection)
            finally:
                self._turns.release()

    async def _acquire(self, pool: asyncpg.Pool[asyncpg.Record]) -> PoolConnectionProxy[asyncpg.Record]:
        """Take a turn and a connection, which the caller gives back in the other order."""
        async with asyncio.timeout(self._settings.database_pool_timeout_seconds):
            await self._turns.acquire()
            try:
                return await pool.acquire()
            except BaseException:
                self._turns.release()
                raise

    async def _connect(self, *_arguments: object, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection to the address in force now, which a rotated secret changes."""
        arguments = dict(self._address().arguments)
        if not self._through_pooler:  # PgBouncer refuses start-up parameters that it does not know
            arguments["server_settings"] = server_settings(self._settings) | dict(
                arguments.get("server_settings", {})
            )
        connection: asyncpg.Connection[asyncpg.Record]
        try:
            connection = await asyncpg.connect(**(options | arguments))
        except BaseException:
            # Also when the wait for it is given up: to a silent server nothing else ends it.
            observe_connection_failure()
            raise
        return connection

    def _address(self) -> DatabaseAddress:
        url = self._url or self._settings.database_address() or ""
        return parse_address(url, pooler=self._settings.database_pooler)

    async def _warm_up(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        """Open the first connections, so that the first requests need not."""
        size = self._settings.database_pool_min_size
        timeout = self._settings.database_pool_timeout_seconds
        opened = await asyncio.gather(
            *(pool.acquire(timeout=timeout) for _ in range(size)), return_exceptions=True
        )
        failures = [each for each in opened if isinstance(each, BaseException)]
        for each in opened:
            if not isinstance(each, BaseException):
                await pool.release(each)
        if failures:
            _log.warning("database is away at the start", error=type(failures[0]).__name__)


def _forget_abandoned_lookups(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody awaited, but for a name lookup: uvloop leaves one behind when a connect is cancelled."""
    if not isinstance(context.get("exception"), socket.gaierror):
        loop.default_exception_handler(context)


def _domain_error(error: Exception) -> Exception:
    domain_error = translate(error)
    if isinstance(domain_error, DatabaseUnavailable):
        _log.warning(
            "database failure", error=type(error).__name__, sqlstate=getattr(error, "sqlstate", None)
        )
    return domain_error or error


async def _no_reset(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Save the round trip of asyncpg's own reset."""
