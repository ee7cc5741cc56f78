"""Detects commits that PostgreSQL reports as successful although no synchronous standby has confirmed them."""

from typing import Any

import asyncpg
import structlog

from backend.platform.errors import DatabaseUnavailable

__all__ = ["UnconfirmedCommits"]

_WAITING_FUNCTION = "SyncRepWaitForLSN"
"""Function of PostgreSQL that waits for the standby. The message's text is translated, and the SQLSTATE is 00000 or 01000."""

_log = structlog.get_logger()

type Connection = asyncpg.Connection[asyncpg.Record]


class UnconfirmedCommits:
    """Connections whose wait for a synchronous standby was cancelled.

    PostgreSQL then commits on the primary only, sends a WARNING and reports success
    (https://www.postgresql.org/docs/18/warm-standby.html#SYNCHRONOUS-REPLICATION-HA). A failover loses the commit.
    """

    def __init__(self) -> None:
        self._connections: set[Any] = set()

    def watch(self, connection: Connection) -> None:
        """Receive the warnings of a connection until it is closed."""
        connection.add_log_listener(self._receive)
        connection.add_termination_listener(self._connections.discard)

    def forget(self, connection: Connection) -> None:
        """Ignore a warning that belongs to an earlier statement of the connection."""
        self._connections.discard(connection)

    def check(self, connection: Connection) -> None:
        """Check the commit that has just returned.

        Raises:
            DatabaseUnavailable: No standby has confirmed the commit.
        """
        if connection in self._connections:
            raise DatabaseUnavailable(
                "The write is not replicated, so a failover may lose it. Repeat it with the same Idempotency-Key."
            )

    def _receive(self, connection: Any, message: Any) -> None:
        # asyncpg calls this before the statement returns: the warning precedes the result.
        if message.server_source_function == _WAITING_FUNCTION:
            self._connections.add(connection)
            _log.warning("a commit is not replicated: its wait for the synchronous standby was cancelled")
