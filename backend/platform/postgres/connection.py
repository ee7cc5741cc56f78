"""Opens connections to PostgreSQL: every one of the service and of its commands."""

import asyncio
import random
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg

from backend.platform.postgres.connection_parameters import ConnectionParameters, Host
from backend.platform.postgres.tls import build_context

__all__ = ["open_connection", "session_settings", "settings_statement"]

_STATEMENT_CACHE_SIZE: Final = 1024

type Connection = asyncpg.Connection[asyncpg.Record]


async def open_connection(
    parameters: ConnectionParameters,
    *,
    timeout_seconds: float,
    command_timeout_seconds: float | None = None,
    settings: Mapping[str, str] | None = None,
) -> Connection:
    """Connect to the first host that accepts it.

    Nothing but the parameters decides how: the driver reads no URL and no environment for them.

    Args:
        parameters: How to connect.
        timeout_seconds: Longest time for all hosts, where the URL has no `connect_timeout`, which is for each.
        command_timeout_seconds: Longest time that a statement takes; None for no limit.
        settings: PostgreSQL's settings for the session, by name; the URL's own take precedence. Without
            effect behind a pooler in transaction mode, where a session's settings do not last.

    Raises:
        ConfigurationError: A certificate cannot be loaded.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError: No host accepts it.
    """
    hosts = list(parameters.hosts)
    if parameters.load_balance_hosts:
        random.shuffle(hosts)
    wanted = parameters.target_session_attrs
    attributes = ("standby", "any") if wanted == "prefer-standby" else (wanted,)
    arguments = _arguments(parameters, settings or {})
    arguments["timeout"] = parameters.connect_timeout_seconds or timeout_seconds / len(hosts)
    arguments["command_timeout"] = command_timeout_seconds
    for attribute in attributes:
        arguments["target_session_attrs"] = attribute
        for host in hosts:
            is_last = attribute == attributes[-1] and host is hosts[-1]
            try:
                return await _connect(parameters, host, arguments, settings or {})
            except (OSError, asyncpg.TargetServerAttributeNotMatched, asyncpg.CannotConnectNowError):
                if is_last:
                    raise
    raise AssertionError("there is at least one host")


def session_settings(parameters: ConnectionParameters, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a session: these, the URL's `options` before them, and the URL's own before both."""
    from_options, _ = _split_options(parameters.options)
    return {**settings, **from_options, **parameters.server_settings}


def settings_statement(settings: Mapping[str, str], *, is_local: bool) -> str:
    """Return the SQL that sets them, for poolers that refuse start-up parameters.

    Args:
        settings: By name, as the server takes them at the start of a session.
        is_local: For the transaction alone.
    """
    # Not SET: to it a list, such as that of search_path, would be one word.
    calls = (f"set_config({_quote(name)}, {_quote(value)}, {is_local})" for name, value in settings.items())
    return f"SELECT {', '.join(calls)};" if settings else ""


async def _connect(
    parameters: ConnectionParameters, host: Host, arguments: Mapping[str, Any], settings: Mapping[str, str]
) -> Connection:
    async with asyncio.timeout(arguments["timeout"]):
        connection: Connection = await asyncpg.connect(
            host=host.address, port=host.port, **arguments, **_tls_arguments(parameters, host)
        )
        if parameters.pooler == "session":
            try:
                statement = settings_statement(session_settings(parameters, settings), is_local=False)
                await connection.execute(statement)
            except BaseException:
                connection.terminate()
                raise
    return connection


def _arguments(parameters: ConnectionParameters, settings: Mapping[str, str]) -> dict[str, Any]:
    from_options, other_options = _split_options(parameters.options)
    if parameters.pooler == "none":
        # The server lets start-up parameters win over `options`.
        own = {name: value for name, value in settings.items() if name not in from_options}
        server_settings = {**own, **parameters.server_settings}
        options = parameters.options
    else:  # PgBouncer refuses start-up parameters that it does not know
        named = parameters.server_settings.get("application_name")
        server_settings = {"application_name": named} if named else {}
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
        # Prepared statements do not survive a pooler that changes the server between transactions.
        "statement_cache_size": 0 if parameters.pooler == "transaction" else _STATEMENT_CACHE_SIZE,
    }


def _tls_arguments(parameters: ConnectionParameters, host: Host) -> dict[str, Any]:
    tls = parameters.tls
    if host.is_socket or tls.mode == "disable":
        return {"ssl": False, "direct_tls": False}
    context = build_context(tls, host.name)
    if tls.is_required:
        return {"ssl": context, "direct_tls": tls.is_direct}
    # To fall back to another way of connecting, the driver wants the mode, and makes a context of its own:
    # from these, which the one above has just loaded.
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
    """Return the settings that command-line options make, and the other options."""
    words = iter(re.findall(r"(?:\\.|[^\s\\])+", options))
    settings, others = {}, []
    for word in words:
        text = word
        if word == "-c":
            text = f"-c{next(words, '')}"
        match = re.fullmatch(r"(?:-c|--)([^=]+)=(.*)", text, re.DOTALL)
        if match:
            name, value = match.groups()
            settings[name.replace("-", "_")] = re.sub(r"\\(.)", r"\1", value)
        else:
            others.append(text)
    return settings, " ".join(others)


def _quote(text: str) -> str:
    # The same in either value of standard_conforming_strings.
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
