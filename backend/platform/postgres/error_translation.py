"""The one place where an error of PostgreSQL, its driver or the network becomes an error of the domain."""

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
    "Outcome",
    "classify",
    "is_connection_lost",
    "is_retriable_conflict",
    "is_transient",
    "needs_setup",
    "translate",
]


class Outcome(Enum):
    """What a failure means to a caller."""

    TRANSIENT = auto()
    """It can pass without any change to the setup: 503 with Retry-After, and the commands try again."""
    PERMANENT = auto()
    """It stays until an operator changes something: 500, and the commands stop."""
    TIMEOUT = auto()
    CONFLICT = auto()
    BAD_VALUE = auto()


_OUTCOMES: Final = {
    # By SQLSTATE (PostgreSQL, appendix A) or the beginning of one; the longest match counts.
    "": Outcome.PERMANENT,  # whatever is not below: nothing says that it passes
    "08": Outcome.TRANSIENT,  # connection exception
    "22": Outcome.BAD_VALUE,  # data exception
    "22023": Outcome.PERMANENT,  # invalid_parameter_value: a setting that the server does not take
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
    "57": Outcome.TRANSIENT,  # operator intervention: the server shuts down, crashed or starts
    "57014": Outcome.TIMEOUT,  # query_canceled, by statement_timeout
    "58": Outcome.TRANSIENT,  # system error outside PostgreSQL
    "58P01": Outcome.PERMANENT,  # undefined_file: an extension whose library is not installed
    "72": Outcome.TRANSIENT,  # snapshot too old
    "XX000": Outcome.TRANSIENT,  # internal_error; poolers use it for a lack of connections too
}

_OUTCOMES_OF_TYPES: Final[tuple[tuple[type[BaseException], Outcome], ...]] = (
    # Of the driver and below; the first match counts.
    (TimeoutError, Outcome.TIMEOUT),  # before OSError, of which it is one
    (ConfigurationError, Outcome.PERMANENT),
    (asyncpg.ClientConfigurationError, Outcome.PERMANENT),
    (asyncpg.UnsupportedClientFeatureError, Outcome.PERMANENT),
    (asyncpg.UnsupportedServerFeatureError, Outcome.PERMANENT),
    (ClientDataError, Outcome.BAD_VALUE),  # a value that asyncpg cannot encode
    (asyncpg.InterfaceError, Outcome.TRANSIENT),
    (asyncpg.InternalClientError, Outcome.TRANSIENT),
    (OSError, Outcome.TRANSIENT),  # also a name that is not found, as while a cluster starts
)

_POOLER_STATES: Final = {"", "08P01", "XX000"}
"""With these PgBouncer, Supavisor and Neon's proxy report whatever they have to say; only the text tells more."""

_PERMANENT_TEXT: Final = re.compile(
    r"no such (database|user)|does not exist|authentication failed|wrong password|no pg_hba\.conf entry"
    r"|(ssl|tls) required|login rejected|unsupported startup parameter|bouncer config error"
    r"|tenant or user not found|endpoint id is not specified|endpoint could not be found",
    re.IGNORECASE,
)

_PERMANENT_TLS: Final = re.compile(
    # OpenSSL's reasons of a handshake that one side refuses.
    r"UNSUPPORTED_PROTOCOL|WRONG_VERSION|PROTOCOL_VERSION|NO_SHARED_CIPHER"
    r"|NO_PROTOCOLS_AVAILABLE|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|REQUIRED|UNKNOWN)"
    r"|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|ACCESS_DENIED|UNRECOGNIZED_NAME|KEY_TOO_SMALL|MD_TOO_WEAK"
)

_SETUP_STATES: Final = ("0A", "28", "3D", "3F", "42501", "58P01")
"""A migration that fails so is right; the database or the role lacks something."""


_ERRORS: Final[dict[Outcome, tuple[type[DomainError], str]]] = {
    Outcome.TRANSIENT: (DatabaseUnavailable, "The database cannot be used right now. Try again later."),
    Outcome.TIMEOUT: (DatabaseTimeout, "The database did not finish in time; the statement was rolled back."),
    Outcome.CONFLICT: (ConcurrentUpdate, "Concurrent requests kept changing the same data. Try again."),
}


def classify(error: BaseException) -> Outcome | None:
    """Tell what a failure means, or None where `error` is no failure of the database.

    Args:
        error: What asyncpg, `ssl`, a socket or the event loop raised, or what reading the address did.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _classify_state(error)
    if _is_refused_by_peer(error):
        return Outcome.PERMANENT
    return next((outcome for types, outcome in _OUTCOMES_OF_TYPES if isinstance(error, types)), None)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same may succeed later although nobody changes the setup."""
    return is_retriable_conflict(error) or classify(error) in {Outcome.TRANSIENT, Outcome.TIMEOUT}


def is_retriable_conflict(error: BaseException) -> bool:
    """Tell whether PostgreSQL rolled back because of a concurrent transaction, so that the same may succeed now."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in {"40001", "40P01"}


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether the connection broke, rather than the statement."""
    if isinstance(error, asyncpg.PostgresError):
        # 08: connection exception; 57P01 to 57P05: the server ended the session, or does not start one.
        return (error.sqlstate or "").startswith(("08", "57P"))
    lost = isinstance(error, (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError))
    return lost and classify(error) is Outcome.TRANSIENT


def needs_setup(error: BaseException) -> bool:
    """Tell whether the failure is one of the setup (role, grants, database, extension), not of the statement."""
    if isinstance(error, asyncpg.PostgresError) and not _is_poolers(error):
        return (error.sqlstate or "").startswith(_SETUP_STATES)
    return classify(error) is Outcome.PERMANENT


def translate(error: Exception) -> DomainError | None:
    """Give the domain's name to a failure of the database.

    Args:
        error: As `classify` takes it.

    Returns:
        The error to raise instead, or None where `error` is no failure of the database.
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


def _is_refused_by_peer(error: BaseException) -> bool:
    """Whether the same TLS handshake or socket would be refused again."""
    if isinstance(error, ssl.SSLError):
        # Python sets no reason on an error that does not come from OpenSSL.
        verifies = isinstance(error, ssl.SSLCertVerificationError)
        return verifies or bool(_PERMANENT_TLS.search(getattr(error, "reason", None) or ""))
    if isinstance(error, ConnectionError):
        return "rejected SSL upgrade" in str(error)  # asyncpg's words
    # EPERM is left out: a firewall causes it, too.
    return isinstance(error, OSError) and error.errno == errno.EACCES


def _classify_state(error: asyncpg.PostgresError) -> Outcome:
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Outcome.TRANSIENT  # a migration changed the result; asyncpg prepares the statement again
    state = error.sqlstate or ""
    if state in _POOLER_STATES:
        return Outcome.PERMANENT if _is_poolers(error) else Outcome.TRANSIENT
    return longest_match(_OUTCOMES, state)


def _is_poolers(error: asyncpg.PostgresError) -> bool:
    """Whether this is a pooler's report of something permanent."""
    return (error.sqlstate or "") in _POOLER_STATES and bool(_PERMANENT_TEXT.search(error.message or ""))
