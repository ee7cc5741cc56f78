"""Opens the PostgreSQL connections of the service and of its commands."""

import asyncio
import random
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg

from backend.platform.postgres.connection_parameters import ConnectionParameters, Host, HostOrder
from backend.platform.postgres.error_translation import TLS_REJECTION, is_connection_lost
from backend.platform.postgres.tls import build_ssl_context

__all__ = ["open_connection", "session_settings", "settings_statement"]

_STATEMENT_CACHE_SIZE: Final = 1024

_STATE_CHECKS: Final = {
    "primary": "SELECT NOT pg_is_in_recovery()",
    "standby": "SELECT pg_is_in_recovery()",
    "read-write": "SELECT current_setting('transaction_read_only') = 'off'",
    "read-only": "SELECT current_setting('transaction_read_only') = 'on'",
}
"""Whether a session has the state of `target_session_attrs`. PgBouncer reports the parameters of the server that it
connected to first, also after a failover, so behind it the server is asked."""

type Connection = asyncpg.Connection[asyncpg.Record]


async def open_connection(
    parameters: ConnectionParameters,
    *,
    timeout_seconds: float,
    command_timeout_seconds: float | None = None,
    settings: Mapping[str, str] | None = None,
    host_order: HostOrder | None = None,
) -> Connection:
    """Connect to the first host that accepts it.

    asyncpg gets every parameter explicitly, so it reads neither a URL nor the environment.

    Args:
        parameters: How to connect.
        timeout_seconds: Time limit for all hosts together. `connect_timeout` in the URL replaces it, per host.
        command_timeout_seconds: Client-side time limit of a statement; None for no limit.
        settings: Run-time settings of the session by name. Those of the URL take precedence. They have no effect
            behind a transaction pooler, which does not keep session settings.
        host_order: Order of the hosts, updated by this call; None for that of the URL.

    Raises:
        ConfigurationError: A certificate cannot be loaded.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError: No host accepted the
            connection.
    """
    host_order = host_order or HostOrder()
    hosts = host_order.sort(parameters.hosts)
    if parameters.load_balance_hosts:
        random.shuffle(hosts)
    required = parameters.target_session_attrs
    attributes = ("standby", "any") if required == "prefer-standby" else (required,)
    arguments = _arguments(parameters, settings or {})
    arguments["timeout"] = parameters.connect_timeout_seconds or timeout_seconds / len(hosts)
    arguments["command_timeout"] = command_timeout_seconds
    for attribute in attributes:
        arguments["target_session_attrs"] = attribute
        for host in hosts:
            is_last = attribute == attributes[-1] and host is hosts[-1]
            try:
                connection = await _connect(parameters, host, arguments, settings or {})
            except Exception as error:
                if is_last or not (isinstance(error, OSError) or is_connection_lost(error)):
                    raise
            else:
                host_order.accepted(host)
                return connection
    raise AssertionError("there is at least one host")


def session_settings(parameters: ConnectionParameters, settings: Mapping[str, str]) -> dict[str, str]:
    """Merge run-time settings of a session. Parameters of the URL override its `options`, which override `settings`."""
    from_options, _ = _split_options(parameters.options)
    return {**settings, **from_options, **parameters.server_settings}


def settings_statement(settings: Mapping[str, str], *, is_local: bool) -> str:
    """Return a SELECT that sets run-time settings, for poolers that reject startup parameters.

    Args:
        settings: Values by name, in the format of startup parameters.
        is_local: Whether the settings end with the transaction.
    """
    # SET would quote a list, such as that of search_path, as a single identifier.
    calls = (f"set_config({_quote(name)}, {_quote(value)}, {is_local})" for name, value in settings.items())
    return f"SELECT {', '.join(calls)};" if settings else ""


async def _connect(
    parameters: ConnectionParameters, host: Host, arguments: dict[str, Any], settings: Mapping[str, str]
) -> Connection:
    state_check = None
    if parameters.pooler in ("session", "transaction"):
        state_check = _STATE_CHECKS.get(arguments["target_session_attrs"])
        arguments = {**arguments, "target_session_attrs": "any"}
    async with asyncio.timeout(arguments["timeout"]):
        try:
            connection: Connection = await asyncpg.connect(
                host=host.address, port=host.port, **arguments, **_tls_arguments(parameters, host)
            )
        except ConnectionError as error:
            if parameters.tls.mode == "prefer" and TLS_REJECTION in str(error):
                # `prefer` accepts a server without TLS. asyncpg also raises this error for an invalid response to
                # SSLRequest, such as that of a proxy whose server has stopped.
                raise ConnectionResetError("the server broke off the TLS negotiation") from error
            raise
        try:
            await _check_state(connection, state_check)
            if parameters.pooler == "session":
                statement = settings_statement(session_settings(parameters, settings), is_local=False)
                await connection.execute(statement)
        except BaseException:
            connection.terminate()
            raise
    return connection


async def _check_state(connection: Connection, check: str | None) -> None:
    if check is not None and not await connection.fetchval(check):
        raise asyncpg.TargetServerAttributeNotMatched(f"behind the pooler, {check} is not true")


def _arguments(parameters: ConnectionParameters, settings: Mapping[str, str]) -> dict[str, Any]:
    from_options, other_options = _split_options(parameters.options)
    if parameters.pooler == "none":
        # In PostgreSQL, startup parameters override `options`.
        defaults = {name: value for name, value in settings.items() if name not in from_options}
        server_settings = {**defaults, **parameters.server_settings}
        options = parameters.options
    else:  # PgBouncer rejects unknown startup parameters, and SPQR ignores them
        application_name = parameters.server_settings.get("application_name")
        server_settings = {"application_name": application_name} if application_name else {}
        options = other_options
    if options:
        server_settings["options"] = options
    return {
        "user": parameters.user,
        "password": parameters.password,
        "passfile": parameters.passfile,
        "database": parameters.database,
        "server_settings": server_settings,
        "krbsrvname": parameters.krbsrvname,
        "gsslib": parameters.gsslib,
        # A transaction pooler may run each transaction on another server connection.
        "statement_cache_size": 0 if parameters.pooler == "transaction" else _STATEMENT_CACHE_SIZE,
    }


def _tls_arguments(parameters: ConnectionParameters, host: Host) -> dict[str, Any]:
    tls = parameters.tls
    if host.is_socket or tls.mode == "disable":
        return {"ssl": False, "direct_tls": False}
    context = build_ssl_context(tls, host.name)
    if tls.is_required:
        return {"ssl": context, "direct_tls": tls.is_direct}
    # With `allow` and `prefer` asyncpg retries with or without TLS only if it gets the mode, and then builds its own
    # context from these files. The context above has validated them.
    files = {
        "sslcert": tls.certificate,
        "sslkey": tls.key,
        "sslpassword": tls.key_password,
        "ssl_min_protocol_version": tls.min_version,
        "ssl_max_protocol_version": tls.max_version,
    }
    query = urlencode({name: value for name, value in files.items() if value})
    return {"ssl": tls.mode, "direct_tls": False, "dsn": f"postgresql:///?{query}"}


def _split_options(options: str) -> tuple[dict[str, str], str]:
    """Split command-line options into run-time settings and other options."""
    words = iter(re.findall(r"(?:\\.|[^\s\\])+", options))
    settings, others = {}, []
    for word in words:
        option = f"-c{next(words, '')}" if word == "-c" else word
        match = re.fullmatch(r"(?:-c|--)([^=]+)=(.*)", option, re.DOTALL)
        if match:
            name, value = match.groups()
            settings[name.replace("-", "_")] = re.sub(r"\\(.)", r"\1", value)
        else:
            others.append(option)
    return settings, " ".join(others)


def _quote(text: str) -> str:
    # E'' does not depend on standard_conforming_strings.
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
