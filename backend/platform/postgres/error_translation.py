"""Translates errors of PostgreSQL, asyncpg and the network into domain errors."""

import errno
import re
import ssl
from enum import Enum, auto
from typing import Final

import asyncpg
from asyncpg.exceptions._base import DataError as ClientDataError  # asyncpg.DataError is the server's

from backend.platform.errors import (
    ConcurrentUpdate,
    ConfigurationError,
    DatabaseMisconfigured,
    DatabaseTimeout,
    DatabaseUnavailable,
    DomainError,
    InvalidInput,
    InvalidValue,
)
from backend.platform.postgres.failure_reasons import describe, longest_match

__all__ = [
    "TLS_REJECTION",
    "Outcome",
    "classify",
    "is_connection_lost",
    "is_retriable_conflict",
    "is_transient",
    "needs_setup",
    "translate",
]


class Outcome(Enum):
    """Category of a database failure."""

    TRANSIENT = auto()
    """May succeed later without a change of the setup: requests get 503 with Retry-After, commands retry."""
    PERMANENT = auto()
    """Persists until an operator changes the setup: requests get 500, commands stop."""
    TIMEOUT = auto()
    CONFLICT = auto()
    BAD_VALUE = auto()


TLS_REJECTION: Final = "rejected SSL upgrade"
"""Part of asyncpg's message about a server without TLS."""

_OUTCOMES: Final = {
    # By SQLSTATE prefix (PostgreSQL, appendix A); the longest match applies.
    "": Outcome.PERMANENT,  # default
    "08": Outcome.TRANSIENT,  # connection exception
    "22": Outcome.BAD_VALUE,  # data exception
    "22023": Outcome.PERMANENT,  # invalid_parameter_value: a setting that the server rejects
    "22P05": Outcome.PERMANENT,  # untranslatable_character: the database's encoding lacks a character
    "23505": Outcome.CONFLICT,  # unique_violation
    "23514": Outcome.BAD_VALUE,  # check_violation
    "25006": Outcome.TRANSIENT,  # read_only_sql_transaction: a standby, until the failover is complete
    "25P03": Outcome.TIMEOUT,  # idle_in_transaction_session_timeout
    "25P04": Outcome.TIMEOUT,  # transaction_timeout
    "40": Outcome.TRANSIENT,  # transaction rollback
    "40001": Outcome.CONFLICT,  # serialization_failure
    "40P01": Outcome.CONFLICT,  # deadlock_detected
    "53": Outcome.TRANSIENT,  # insufficient resources: connections, memory, disk
    "54000": Outcome.BAD_VALUE,  # program_limit_exceeded: a value is too large for an index
    "55": Outcome.TRANSIENT,  # object not in prerequisite state, in use
    "55P03": Outcome.TIMEOUT,  # lock_not_available, by lock_timeout
    "57": Outcome.TRANSIENT,  # operator intervention: the server shuts down, has crashed or starts
    "57014": Outcome.TIMEOUT,  # query_canceled, by statement_timeout
    "58": Outcome.TRANSIENT,  # system error outside PostgreSQL
    "58P01": Outcome.PERMANENT,  # undefined_file: an extension whose library is not installed
    "72": Outcome.TRANSIENT,  # snapshot too old
    "SPQRD": Outcome.TRANSIENT,  # SPQR: no connection to the shard
    "SPQRO": Outcome.TRANSIENT,  # SPQR: connection error
    "SPQRU": Outcome.TRANSIENT,  # SPQR: unexpected error, also while a shard stops
    "XX000": Outcome.TRANSIENT,  # internal_error; poolers also report exhausted connections by it
}

_OUTCOMES_BY_TYPE: Final[tuple[tuple[type[BaseException], Outcome], ...]] = (
    # Errors of asyncpg and the network; the first match applies.
    (TimeoutError, Outcome.TIMEOUT),  # a subclass of OSError
    (ConfigurationError, Outcome.PERMANENT),
    (asyncpg.ClientConfigurationError, Outcome.PERMANENT),
    (asyncpg.UnsupportedClientFeatureError, Outcome.PERMANENT),
    (asyncpg.UnsupportedServerFeatureError, Outcome.PERMANENT),
    (ClientDataError, Outcome.BAD_VALUE),  # a value that asyncpg cannot encode
    (asyncpg.InterfaceError, Outcome.TRANSIENT),
    (asyncpg.InternalClientError, Outcome.TRANSIENT),
    (OSError, Outcome.TRANSIENT),  # includes failed name resolution, as at the start of a cluster
)

_POOLER_STATES: Final = {"", "08P01", "XX000"}
"""SQLSTATEs that PgBouncer, Supavisor and Neon's proxy use for every error; only the message tells the cause."""

_PERMANENT_POOLER_MESSAGE: Final = re.compile(
    r"no such (database|user)|does not exist|authentication failed|wrong password|no pg_hba\.conf entry"
    r"|(ssl|tls) required|login rejected|unsupported startup parameter|bouncer config error"
    r"|tenant or user not found|endpoint id is not specified|endpoint could not be found",
    re.IGNORECASE,
)

_PERMANENT_TLS_REASON: Final = re.compile(
    # OpenSSL's reason codes of a rejected handshake.
    r"UNSUPPORTED_PROTOCOL|WRONG_VERSION|PROTOCOL_VERSION|NO_SHARED_CIPHER"
    r"|NO_PROTOCOLS_AVAILABLE|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|REQUIRED|UNKNOWN)"
    r"|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|ACCESS_DENIED|UNRECOGNIZED_NAME|KEY_TOO_SMALL|MD_TOO_WEAK"
)

_SETUP_STATES: Final = ("0A", "28", "3D", "3F", "42501", "58P01")
"""SQLSTATEs of a migration that fails because of the database or the role, not because of its statements."""


_ERRORS: Final[dict[Outcome, tuple[type[DomainError], str]]] = {
    Outcome.TRANSIENT: (DatabaseUnavailable, "The database cannot be used right now. Try again later."),
    Outcome.TIMEOUT: (
        DatabaseTimeout,
        "The database did not finish in time. A write may still have succeeded.",
    ),
    Outcome.CONFLICT: (ConcurrentUpdate, "Concurrent requests kept changing the same data. Try again."),
}


def classify(error: BaseException) -> Outcome | None:
    """Return the category of a failure, None if `error` is not a database failure.

    Args:
        error: Exception of asyncpg, `ssl`, a socket, the event loop or the parser of the URL.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _classify_state(error)
    if _is_rejected_by_peer(error):
        return Outcome.PERMANENT
    return next((outcome for kind, outcome in _OUTCOMES_BY_TYPE if isinstance(error, kind)), None)


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed without a change of the setup."""
    return is_retriable_conflict(error) or classify(error) in {Outcome.TRANSIENT, Outcome.TIMEOUT}


def is_retriable_conflict(error: BaseException) -> bool:
    """Return whether PostgreSQL rolled back because of a concurrent transaction, so that a retry may succeed."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in {"40001", "40P01"}


def is_connection_lost(error: BaseException) -> bool:
    """Return whether the connection was lost, as opposed to a failed statement."""
    if isinstance(error, asyncpg.PostgresError):
        # 08: connection exception; 57P01 to 57P05: the server terminated the session or accepts none.
        return (error.sqlstate or "").startswith(("08", "57P"))
    is_connection_error = isinstance(
        error, (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    )
    return is_connection_error and classify(error) is Outcome.TRANSIENT


def needs_setup(error: BaseException) -> bool:
    """Return whether the setup (role, grants, database, extension) caused the failure, not the statement."""
    if isinstance(error, asyncpg.PostgresError) and not _is_permanent_pooler_error(error):
        return (error.sqlstate or "").startswith(_SETUP_STATES)
    return classify(error) is Outcome.PERMANENT


def translate(error: Exception) -> DomainError | None:
    """Translate a database failure into a domain error.

    Args:
        error: See `classify`.

    Returns:
        The error to raise instead, or None if `error` is not a database failure.
    """
    outcome = classify(error)
    if outcome is Outcome.PERMANENT:
        return DatabaseMisconfigured(describe(error))
    if outcome is Outcome.BAD_VALUE:
        return InvalidInput(InvalidValue("", "a value that the database cannot store"))
    if outcome is None:
        return None
    kind, detail = _ERRORS[outcome]
    return kind(detail)


def _is_rejected_by_peer(error: BaseException) -> bool:
    """Whether the peer would reject the same TLS handshake or socket again."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    if isinstance(error, ssl.SSLError):
        # Only errors from OpenSSL have a reason.
        return bool(_PERMANENT_TLS_REASON.search(getattr(error, "reason", None) or ""))
    if isinstance(error, ConnectionError):
        return TLS_REJECTION in str(error)
    # EPERM is not permanent: a firewall may cause it.
    return isinstance(error, OSError) and error.errno == errno.EACCES


def _classify_state(error: asyncpg.PostgresError) -> Outcome:
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Outcome.TRANSIENT  # a migration changed the result type; asyncpg prepares the statement again
    state = error.sqlstate or ""
    if state in _POOLER_STATES:
        return Outcome.PERMANENT if _is_permanent_pooler_error(error) else Outcome.TRANSIENT
    return longest_match(_OUTCOMES, state)


def _is_permanent_pooler_error(error: asyncpg.PostgresError) -> bool:
    """Whether a pooler reports a permanent failure."""
    return (error.sqlstate or "") in _POOLER_STATES and bool(
        _PERMANENT_POOLER_MESSAGE.search(error.message or "")
    )
