"""The one place where what PostgreSQL and the network say becomes an error of the domain."""

import asyncpg

from backend.errors import (
    ConcurrentUpdate,
    DatabaseTimeout,
    DatabaseUnavailable,
    DomainError,
    InvalidInput,
    InvalidValue,
)

__all__ = ["is_connection_lost", "is_retriable_conflict", "translate"]

_CONFLICTS = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
}
_TIMEOUTS = {
    "57014",  # query_canceled, by statement_timeout
    "55P03",  # lock_not_available, by lock_timeout
    "25P03",  # idle_in_transaction_session_timeout
}
_BAD_VALUES = ("22", "23514")  # data exceptions, and a check constraint


def is_retriable_conflict(error: BaseException) -> bool:
    """Tell whether PostgreSQL rolled back because of a concurrent transaction, so that the same may succeed now."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _CONFLICTS


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether the connection broke, rather than the statement."""
    if isinstance(error, asyncpg.PostgresError):
        # 08: connection exception; 57P01 to 57P03: the server shuts down, crashed, or starts.
        return (error.sqlstate or "").startswith(("08", "57P"))
    return isinstance(error, (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def translate(error: Exception) -> DomainError | None:
    """Give the domain's name to a failure of the database.

    Args:
        error: What asyncpg raised, or the event loop for it.

    Returns:
        The error to raise instead, or None where `error` is no failure of the database.
    """
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return None  # known by its constraint's name alone (`Database.register_violation`), and else a defect
    if isinstance(error, asyncpg.PostgresError):
        return _translate_state(error.sqlstate or "")
    if isinstance(error, TimeoutError):  # before OSError, of which it is one
        return DatabaseTimeout("The database did not answer in time. Try again; nothing else is affected.")
    if isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return DatabaseUnavailable("The database cannot be reached right now. Try again later.")
    return None


def _translate_state(state: str) -> DomainError:
    if state in _TIMEOUTS:
        return DatabaseTimeout("The database gave the statement up after its time limit; it was rolled back.")
    if state in _CONFLICTS:
        return ConcurrentUpdate("Concurrent requests kept changing the same data. Try again.")
    if state.startswith(_BAD_VALUES):
        return InvalidInput(InvalidValue("", "a value that the database cannot store"))
    # Away, full, read-only after a failover, not migrated yet, password just rotated: to the
    # caller all are one thing, to try again later. The log has the original.
    return DatabaseUnavailable("The database cannot be used right now. Try again later.")
