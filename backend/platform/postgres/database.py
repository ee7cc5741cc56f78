"""The database for repositories: runs statements on a connection pool and translates errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import asyncpg
import structlog

from backend.platform.errors import DatabaseUnavailable, DomainError
from backend.platform.observability.metrics import (
    observe_connection_failure,
    observe_connection_timeout,
    observe_connection_wait,
)
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import ConnectionParameters, HostOrder, Pooler
from backend.platform.postgres.custom_plan import CUSTOM_PLAN, plan_then_fetch
from backend.platform.postgres.dsn import parse_dsn, service_parameters
from backend.platform.postgres.error_translation import is_connection_lost, is_retriable_conflict
from backend.platform.postgres.failure_log import translate_and_log
from backend.platform.postgres.pool import ConnectionPool
from backend.platform.postgres.prewarm import prewarm
from backend.platform.postgres.session_types import register_types
from backend.platform.postgres.shard_pin import begin_on_shard, is_pinnable, is_shard_unavailable
from backend.platform.postgres.statement import CompiledStatement, Connection
from backend.platform.postgres.transaction import Begin, begin_statement, server_settings, transaction
from backend.platform.postgres.unconfirmed_commits import UnconfirmedCommits
from backend.platform.settings.database import DatabaseSettings

__all__ = ["Database"]

_CLIENT_MARGIN_SECONDS = 1.0
"""The client's time limit exceeds the server's by this much, so that it applies to a silent connection only."""

_log = structlog.get_logger()


class Database:
    """A pool of asyncpg connections to one PostgreSQL.

    A connection is acquired for one statement or one transaction, never while a response is built.
    No statement sets session state, so connections are not reset between uses.

    Args:
        settings: Connection parameters, pool sizes and time limits.
        url: Overrides the URL of the settings; used for the embedded PostgreSQL.
    """

    def __init__(self, settings: DatabaseSettings, url: str | None = None) -> None:
        self._settings = settings
        self._url = url
        self._pool: ConnectionPool | None = None
        self._pooler: Pooler = "none"
        self._role: str | None = None
        self._begin = "BEGIN;"
        self._violations: dict[str, Callable[[], DomainError]] = {}
        self._unconfirmed = UnconfirmedCommits()
        self._host_order = HostOrder()

    async def start(self) -> None:
        """Open the pool. An unreachable database is no error: requests get 503 until it is reachable.

        Raises:
            ConfigurationError: The URL is not a PostgreSQL URL.
        """
        parameters = self._parameters()
        if parameters.ignores_channel_binding:
            _log.warning(
                "channel_binding=require is not enforced: sslmode=verify-full would authenticate the server",
                variable=parameters.variable,
            )
        self._pooler = parameters.pooler
        self._begin = begin_statement(parameters, self._settings)
        self._pool = ConnectionPool(
            self._connect,
            max_size=self._settings.database_pool_max_size,
            max_idle_seconds=self._settings.database_connection_max_idle_seconds,
            timeout_seconds=self._settings.database_pool_acquire_timeout_seconds,
            connect_timeout_seconds=parameters.total_timeout_seconds,
        )
        await prewarm(self._pool, self._settings.database_pool_prewarm_size)

    async def stop(self) -> None:
        """Close every connection, after up to 1 s for those in use."""
        if self._pool is not None:
            await self._pool.close()

    @property
    def pool(self) -> ConnectionPool:
        """The started pool; other modules only read its sizes."""
        if self._pool is None:
            raise DatabaseUnavailable("The service is still starting.")
        return self._pool

    def register_violation(self, constraint: str, error: Callable[[], DomainError]) -> None:
        """Register the domain error that reports the violation of a constraint.

        Args:
            constraint: The constraint's name in the database.
            error: Creates the error.
        """
        self._violations[constraint] = error

    async def fetch(
        self,
        statement: CompiledStatement,
        *,
        connection: Connection | None = None,
        retry_on_disconnect: bool = False,
        custom_plan: CompiledStatement | None = None,
        **values: Any,
    ) -> list[asyncpg.Record]:
        """Run one statement in a transaction of its own, or in an open one.

        Args:
            statement: The statement.
            connection: Connection of an open `transaction`; None acquires one. The other options need None.
            retry_on_disconnect: Run again after a lost connection; for statements that only read.
            custom_plan: Plan for these values, where the best plan depends on them; costs two round trips. Behind a
                router of shards this statement sets `CUSTOM_PLAN_SETTINGS`, as the router sends no SET before it.
            values: The statement's parameters.

        Raises:
            DomainError: See `error_translation.translate`; untranslated errors in an open transaction.
        """
        if connection is not None:
            return await statement.fetch(connection, values)
        work = partial(statement.fetch, values=values)
        begin: Begin | None = self._begin if self._pooler == "transaction" else None
        if custom_plan is not None and self._pooler == "spqr":
            work = partial(plan_then_fetch, plan=custom_plan, statement=statement, values=values)
            begin = self._begin
        elif custom_plan is not None:
            begin = self._begin + CUSTOM_PLAN
        users = (values["user_id"],) if "user_id" in values else ()
        return await self._run(work, begin, users, retry_on_disconnect=retry_on_disconnect)

    async def transaction[Result](
        self, work: Callable[[Connection], Awaitable[Result]], *, user_id: str | None = None
    ) -> Result:
        """Run several statements in one transaction, committed before this returns.

        Args:
            work: Called with the transaction's connection; called once more after PostgreSQL rolled
                the transaction back because of a concurrent one.
            user_id: The user whose rows it accesses: a router of shards then needs the user's shard only.

        Raises:
            DomainError: Error of `work`, or see `error_translation.translate`; rolled back.
        """
        return await self._run(work, self._begin, () if user_id is None else (user_id,))

    async def read_catalog[Result](self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run a `transaction` that reads what is the same on every shard."""
        return await self._run(work, self._begin, (None,))

    async def _run[Result](
        self,
        work: Callable[[Connection], Awaitable[Result]],
        begin: Begin | None,
        users: Sequence[str | None],
        *,
        retry_on_disconnect: bool = False,
    ) -> Result:
        try:
            return await self._attempt(work, begin)
        except Exception as error:
            if is_shard_unavailable(error) and users and is_pinnable(users[0]):
                begin = partial(begin_on_shard, user_id=users[0])
            elif not (is_retriable_conflict(error) or (retry_on_disconnect and is_connection_lost(error))):
                raise self._domain_error(error) from error
        try:
            return await self._attempt(work, begin)
        except Exception as error:
            raise self._domain_error(error) from error

    async def _attempt[Result](
        self, work: Callable[[Connection], Awaitable[Result]], begin: Begin | None
    ) -> Result:
        pool = self.pool
        connection = await self._acquire(pool)
        release = pool.release
        self._unconfirmed.forget(connection)
        try:
            if begin is None:
                result = await work(connection)
            else:
                async with transaction(connection, begin):
                    result = await work(connection)
            self._unconfirmed.check(connection)
        except (TimeoutError, asyncio.CancelledError):
            # PostgreSQL does not notice a closed connection while a commit waits for its standby.
            release = pool.release_after_reset
            raise
        except asyncpg.ReadOnlySQLTransactionError:
            connection.terminate()  # a standby, or a primary that became one
            raise
        else:
            return result
        finally:
            release(connection)

    async def _acquire(self, pool: ConnectionPool) -> asyncpg.Connection[asyncpg.Record]:
        started = perf_counter()
        try:
            connection = await pool.acquire()
        except TimeoutError as error:
            observe_connection_timeout()
            raise DatabaseUnavailable("No database connection was free in time. Try again later.") from error
        except Exception as error:
            # Translated here: a retry in `_run` would only double the wait.
            raise self._domain_error(error) from error
        observe_connection_wait(perf_counter() - started)
        return connection

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection with the current parameters, which a rotated secret changes."""
        settings = self._settings
        try:
            connection = await open_connection(
                self._parameters(),
                timeout_seconds=settings.database_pool_acquire_timeout_seconds,
                command_timeout_seconds=settings.database_statement_timeout_seconds + _CLIENT_MARGIN_SECONDS,
                settings=server_settings(settings),
                host_order=self._host_order,
            )
            self._role = getattr(connection.get_settings(), "session_authorization", None)
            await register_types(connection, self._pooler)
            self._unconfirmed.watch(connection)
        except BaseException:
            # Includes a cancelled attempt: a silent server never ends it.
            observe_connection_failure()
            raise
        return connection

    def _parameters(self) -> ConnectionParameters:
        if self._url is not None:
            return parse_dsn(self._url, pooler=self._settings.database_pooler)
        return service_parameters(self._settings)

    def _domain_error(self, error: Exception) -> Exception:
        """Return the domain error to raise, and log the failures that an operator can act on."""
        if violation := self._violations.get(getattr(error, "constraint_name", None) or ""):
            return violation()
        return translate_and_log(error, self._role)
