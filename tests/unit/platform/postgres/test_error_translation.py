"""Each database failure has one outcome."""

import errno
import socket
import ssl

import asyncpg
import pytest
from asyncpg.exceptions._base import DataError as ClientDataError

from backend.platform.errors import (
    ConcurrentUpdate,
    ConfigurationError,
    DatabaseMisconfigured,
    DatabaseTimeout,
    DatabaseUnavailable,
    InvalidInput,
)
from backend.platform.postgres.error_translation import (
    Outcome,
    classify,
    is_connection_lost,
    is_retriable_conflict,
    is_transient,
    needs_setup,
    translate,
)
from backend.platform.postgres.failure_reasons import describe

TRANSIENT, PERMANENT = Outcome.TRANSIENT, Outcome.PERMANENT
TIMEOUT, CONFLICT, BAD_VALUE = Outcome.TIMEOUT, Outcome.CONFLICT, Outcome.BAD_VALUE


def server_error(sqlstate: str | None, message: str = "a message") -> asyncpg.PostgresError:
    """Return what asyncpg raises for this error of a server."""
    fields = {"S": "ERROR", "M": message} | ({} if sqlstate is None else {"C": sqlstate})
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(fields)
    return error


def tls_error(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


STATES = {
    # Connections, poolers.
    "08000": TRANSIENT, "08001": TRANSIENT, "08003": TRANSIENT, "08004": TRANSIENT, "08006": TRANSIENT,
    "08007": TRANSIENT, "08P01": TRANSIENT,
    # Who may connect, and to what.
    "28000": PERMANENT, "28P01": PERMANENT, "3D000": PERMANENT, "3F000": PERMANENT, "0P000": PERMANENT,
    # The schema and its grants.
    "42501": PERMANENT, "42P01": PERMANENT, "42703": PERMANENT, "42883": PERMANENT, "42704": PERMANENT,
    "42P07": PERMANENT, "42601": PERMANENT, "42804": PERMANENT, "42P10": PERMANENT, "23502": PERMANENT,
    "0A000": PERMANENT, "44000": PERMANENT,
    # A pooler in transaction mode that DATABASE_POOLER does not declare.
    "26000": PERMANENT, "42P05": PERMANENT,
    # The server's state.
    "53000": TRANSIENT, "53100": TRANSIENT, "53200": TRANSIENT, "53300": TRANSIENT, "53400": TRANSIENT,
    "55000": TRANSIENT, "55006": TRANSIENT, "57000": TRANSIENT, "57P01": TRANSIENT, "57P02": TRANSIENT,
    "57P03": TRANSIENT, "57P04": TRANSIENT, "57P05": TRANSIENT, "58000": TRANSIENT, "58030": TRANSIENT,
    "58P01": PERMANENT, "72000": TRANSIENT, "25006": TRANSIENT, "25P02": PERMANENT, "F0000": PERMANENT,
    "SPQRD": TRANSIENT, "SPQRO": TRANSIENT, "SPQRU": TRANSIENT, "SPQRB": PERMANENT, "SPQRC": PERMANENT,
    "XX000": TRANSIENT, "XX001": PERMANENT, "XX002": PERMANENT,
    # Time limits.
    "57014": TIMEOUT, "55P03": TIMEOUT, "25P03": TIMEOUT, "25P04": TIMEOUT,
    # Concurrency.
    "40000": TRANSIENT, "40003": TRANSIENT, "40001": CONFLICT, "40P01": CONFLICT, "23505": CONFLICT,
    # Values.
    "22001": BAD_VALUE, "22003": BAD_VALUE, "22021": BAD_VALUE, "22P02": BAD_VALUE, "23514": BAD_VALUE,
    "54000": BAD_VALUE, "22P05": PERMANENT, "22023": PERMANENT,
    # Triggers and whatever PostgreSQL invents later.
    "P0001": PERMANENT, "38000": PERMANENT, "99999": PERMANENT,
}  # fmt: skip


@pytest.mark.parametrize(("sqlstate", "outcome"), STATES.items())
def test_outcome_of_a_sqlstate(sqlstate: str, outcome: Outcome) -> None:
    assert classify(server_error(sqlstate)) is outcome


@pytest.mark.parametrize(
    ("sqlstate", "message", "outcome"),
    [
        # PgBouncer
        ("08P01", "no such database: tasks", PERMANENT),
        ("08P01", "no such user: alice", PERMANENT),
        ("08P01", "unsupported startup parameter: statement_timeout", PERMANENT),
        ("08P01", "SSL required", PERMANENT),
        ("08P01", 'server login failed: FATAL password authentication failed for user "a"', PERMANENT),
        ("08P01", 'server login has been failing, cached error: database "a" does not exist', PERMANENT),
        ("08P01", "server login has been failing, try again later (server_login_retry)", TRANSIENT),
        ("08P01", "server login failed: FATAL the database system is starting up", TRANSIENT),
        ("08P01", "pgbouncer cannot connect to server", TRANSIENT),
        ("08P01", "query_wait_timeout", TRANSIENT),
        ("08P01", "no more connections allowed (max_client_conn)", TRANSIENT),
        ("08P01", 'database "tasks" is disabled', TRANSIENT),
        # Supavisor
        ("XX000", "Tenant or user not found", PERMANENT),
        ("XX000", "Max client connections reached", TRANSIENT),
        # Neon's proxy gives no SQLSTATE
        (None, "Control plane request failed", TRANSIENT),
        (None, "Couldn't connect to compute node", TRANSIENT),
        (None, "Endpoint ID is not specified. Either upgrade the client library", PERMANENT),
        (None, "The requested endpoint could not be found, or you don't have access to it.", PERMANENT),
        # The text says nothing where PostgreSQL has a SQLSTATE for the failure.
        ("57P03", 'database "a" does not exist', TRANSIENT),
    ],
)
def test_outcome_of_a_pooler_message(sqlstate: str | None, message: str, outcome: Outcome) -> None:
    assert classify(server_error(sqlstate, message)) is outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), TRANSIENT),
        (ConnectionResetError(errno.ECONNRESET, "reset"), TRANSIENT),
        (BrokenPipeError(errno.EPIPE, "pipe"), TRANSIENT),
        (ConnectionError("unexpected connection_lost() call"), TRANSIENT),
        (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), PERMANENT),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), TRANSIENT),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), TRANSIENT),
        (OSError(errno.EHOSTUNREACH, "No route to host"), TRANSIENT),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), TRANSIENT),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed"), TRANSIENT),
        (FileNotFoundError(errno.ENOENT, "No such socket"), TRANSIENT),
        (PermissionError(errno.EACCES, "Permission denied"), PERMANENT),
        (PermissionError(errno.EPERM, "Operation not permitted"), TRANSIENT),
        (TimeoutError(), TIMEOUT),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), PERMANENT),
        (tls_error("TLSV1_ALERT_UNKNOWN_CA"), PERMANENT),
        (tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), PERMANENT),
        (tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), PERMANENT),
        (tls_error("UNSUPPORTED_PROTOCOL"), PERMANENT),
        (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), PERMANENT),
        (tls_error("WRONG_VERSION_NUMBER"), PERMANENT),
        (tls_error("TLSV1_ALERT_INTERNAL_ERROR"), TRANSIENT),
        (tls_error("UNEXPECTED_EOF_WHILE_READING", ssl.SSLEOFError), TRANSIENT),
        (ssl.SSLZeroReturnError(6, "closed"), TRANSIENT),
        (asyncpg.ClientConfigurationError("root certificate file does not exist"), PERMANENT),
        (asyncpg.UnsupportedServerFeatureError("no such authentication"), PERMANENT),
        (asyncpg.UnsupportedClientFeatureError("no such feature"), PERMANENT),
        (ClientDataError("invalid input for query argument $1"), BAD_VALUE),
        (asyncpg.InterfaceError("connection is closed"), TRANSIENT),
        (asyncpg.InternalClientError("unexpected"), TRANSIENT),
        (asyncpg.TargetServerAttributeNotMatched("no host is read-write"), TRANSIENT),
        (asyncpg.OutdatedSchemaCacheError("changed"), TRANSIENT),
        (asyncpg.InvalidCachedStatementError("cached statement plan is invalid"), TRANSIENT),
        (ConfigurationError("DATABASE_URL cannot be read"), PERMANENT),
        (ValueError("no failure of the database"), None),
        (KeyError("nor this"), None),
    ],
    ids=repr,
)
def test_outcome_of_a_client_error(error: Exception, outcome: Outcome | None) -> None:
    assert classify(error) is outcome


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("53300", DatabaseUnavailable),
        ("28P01", DatabaseMisconfigured),
        ("57014", DatabaseTimeout),
        ("40001", ConcurrentUpdate),
        ("22003", InvalidInput),
    ],
)
def test_translation_to_a_domain_error(sqlstate: str, kind: type[Exception]) -> None:
    assert type(translate(server_error(sqlstate))) is kind
    assert translate(ValueError()) is None


def test_detail_for_the_client_omits_the_reason() -> None:
    failure = translate(server_error("42501", "permission denied for table tasks"))
    assert isinstance(failure, DatabaseMisconfigured)
    assert failure.reason == (
        "permission denied for table tasks (SQLSTATE 42501): grant the role the privileges that docs/operations.md lists"
    )
    assert "tasks" not in failure.detail


def test_reason_is_one_line() -> None:
    assert describe(server_error("28P01", 'password authentication failed\nfor user "alice"')) == (
        'password authentication failed for user "alice" (SQLSTATE 28P01): check user, password and sslmode of the'
        " database URL, and pg_hba.conf of the server"
    )
    configuration = asyncpg.ClientConfigurationError("no root certificate", hint="Provide it")
    assert describe(configuration) == "no root certificate"


def test_lost_connection_is_distinguished_from_a_rejected_one() -> None:
    assert is_connection_lost(server_error("57P01"))
    assert is_connection_lost(ConnectionResetError())
    assert is_connection_lost(asyncpg.InterfaceError("connection is closed"))
    for error in (server_error("42501"), asyncpg.ClientConfigurationError("x"), ClientDataError("x")):
        assert not is_connection_lost(error)


def test_only_conflicts_are_retried_immediately() -> None:
    assert {state for state in STATES if is_retriable_conflict(server_error(state))} == {"40001", "40P01"}


@pytest.mark.parametrize(
    ("sqlstate", "transient", "setup"),
    [
        ("57P03", True, False),
        ("40P01", True, False),
        ("57014", True, False),
        ("25006", True, False),
        ("42501", False, True),
        ("3F000", False, True),
        ("58P01", False, True),
        ("0A000", False, True),
        ("42P07", False, False),
        ("23505", False, False),
        ("23514", False, False),
    ],
)
def test_failed_migration_is_classified_as_retry_setup_or_failure(
    sqlstate: str, *, transient: bool, setup: bool
) -> None:
    assert (is_transient(server_error(sqlstate)), needs_setup(server_error(sqlstate))) == (transient, setup)
