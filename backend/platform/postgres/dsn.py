"""From a PostgreSQL URL as providers hand it out to connection parameters: the one place that reads it.

It is read as libpq does (https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
No error contains a value of the URL, but for the path of a file, so that none contains a part of the password.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection_parameters import ConnectionParameters, PoolerSetting
from backend.platform.postgres.driver_parameters import is_known_elsewhere, translate
from backend.platform.postgres.parameter_checks import build_parameters
from backend.platform.postgres.parameter_values import ParameterValues
from backend.platform.postgres.tls import build_context
from backend.platform.postgres.url_parameters import (
    ALIASES,
    DROPPED,
    ENVIRONMENT_VARIABLES,
    HONOURED,
    UNSUPPORTED,
    is_server_setting,
)
from backend.platform.settings.database import DatabaseSettings

__all__ = ["check_dsns", "migration_parameters", "parse_dsn", "service_parameters"]

_SCHEME: Final = re.compile(r"postgres(ql)?(\+\w+)?", re.ASCII)
_FORM: Final = "must look like postgresql://user:password@host/database"
_ENCODE: Final = (
    "cannot be read; percent-encode special characters in user and password (%40 for @, %2F for /, %3F for ?,"
    " %25 for %)"
)
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_NAME: Final = re.compile(r"[A-Za-z][\w.-]{0,62}", re.ASCII)
_SECRETS: Final = frozenset(
    {"oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"}
)


def service_parameters(settings: DatabaseSettings) -> ConnectionParameters:
    """Return how the service connects now, which a rotated secret changes.

    Raises:
        ConfigurationError: DATABASE_URL, or its file, cannot be read or honoured.
    """
    return parse_dsn(
        settings.current_database_url() or "",
        variable=_variable("DATABASE_URL", settings.database_url_file),
        pooler=settings.database_pooler,
        environment=os.environ,
    )


def migration_parameters(settings: DatabaseSettings) -> ConnectionParameters:
    """Return how migrations connect: by DATABASE_MIGRATION_URL, else as the service does.

    Raises:
        ConfigurationError: The URL, or its file, cannot be read or honoured.
    """
    if settings.database_migration_url is None and settings.database_migration_url_file is None:
        return service_parameters(settings)
    return parse_dsn(
        settings.current_migration_url() or "",
        variable=_variable("DATABASE_MIGRATION_URL", settings.database_migration_url_file),
        environment=os.environ,
    )


def check_dsns(settings: DatabaseSettings) -> None:
    """Refuse a URL that cannot be read or honoured, or whose certificates cannot be loaded, before it is used.

    Raises:
        ConfigurationError: One sentence that names the variable.
    """
    if settings.uses_embedded_database:
        return
    for parameters in (service_parameters(settings), migration_parameters(settings)):
        build_context(parameters.tls, parameters.hosts[0].name)


def parse_dsn(
    url: str,
    *,
    variable: str = "DATABASE_URL",
    pooler: PoolerSetting = "auto",
    environment: Mapping[str, str] | None = None,
) -> ConnectionParameters:
    """Read a URL such as Neon's: `postgres://user:password@host/database?sslmode=require&channel_binding=require`.

    Args:
        url: The URL. A driver in its scheme, such as `postgresql+asyncpg`, has no meaning here.
        variable: Where it comes from, for errors.
        pooler: Which pooler stands before the server; `auto` derives it from the URL.
        environment: Has libpq's variables (PGPASSWORD, PGSSLMODE, …), the defaults of what the URL lacks;
            None leaves them and libpq's files in the home directory aside.

    Raises:
        ConfigurationError: It cannot be read or honoured; one sentence that names the variable.
    """
    values = ParameterValues(variable, reads_environment=environment is not None)
    _read_url(values, url)
    if environment is not None:
        _read_service(values, environment)
        for name, default in ENVIRONMENT_VARIABLES.items():
            if environment.get(default) and not values.has(name):
                _store(values, name, environment[default], default)
    return build_parameters(values, pooler)


def _variable(name: str, file: Path | None) -> str:
    return name if file is None else f"{name}_FILE"


def _read_url(values: ParameterValues, url: str) -> None:
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme.lower()):
        raise ConfigurationError(f"{values.variable} {_FORM}")
    # The last @ ends the password, wherever it is: with a / or ? before it, two readings are possible.
    userinfo, _, location = rest.rpartition("@")
    parts = re.fullmatch(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?", location)
    if "/" in userinfo or "?" in userinfo or parts is None or re.search(r"[\0-\x1f\x7f]", rest):
        raise ConfigurationError(f"{values.variable} {_ENCODE}")
    authority, database, query = parts.groups()
    user, _, password = userinfo.partition(":")
    hosts, ports = zip(*(_host_and_port(values, each) for each in authority.split(",")), strict=True)
    written = {
        "user": user,
        "password": password,
        "host": ",".join(hosts) if any(hosts) else "",
        "port": ",".join(ports) if any(ports) else "",
        "dbname": database,
    }
    for name, value in written.items():
        if value:
            values.set(name, _decode(values, value))
    after_secret = False
    for name, value in _pairs(values, query or ""):
        _read_parameter(values, name, value, is_shown=not after_secret)
        after_secret = after_secret or name in _SECRETS


def _host_and_port(values: ParameterValues, text: str) -> tuple[str, str]:
    parts = re.fullmatch(r"\[([^\]]+)\](?::([^:]*))?|([^:\[\]]*)(?::([^:]*))?", text)
    if parts is None:
        raise ConfigurationError(
            f"{values.variable} has an unreadable host or port; write an IPv6 address in brackets, and"
            " percent-encode special characters in user and password"
        )
    address, port, name, other_port = parts.groups()
    return address or name or "", port or other_port or ""


def _pairs(values: ParameterValues, query: str) -> Iterator[tuple[str, str]]:
    for text in query.split("&"):
        name, separator, value = text.partition("=")
        if text and not (separator and name):
            raise ConfigurationError(
                f"{values.variable}: a parameter after ? is not written name=value; percent-encode special"
                " characters"
            )
        if text:
            yield _decode(values, name), _decode(values, value)


def _decode(values: ParameterValues, text: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode()
    except ValueError:
        decoded = "\0"
    if "\0" in decoded or re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ConfigurationError(f"{values.variable} {_ENCODE}") from None
    return decoded


def _read_parameter(values: ParameterValues, name: str, value: str, *, is_shown: bool) -> None:
    name = ALIASES.get(name, name)
    if name == "options" and value.startswith("-c+"):
        value = value.replace("+", " ")  # as forms encode a space; to libpq it would be no option
    if name in HONOURED or name in UNSUPPORTED:
        _store(values, name, value, values.variable)
    elif is_known_elsewhere(name):
        translate(values, name, value)
    elif name in DROPPED:
        pass
    elif is_server_setting(name):
        values.server_settings[name] = value
    else:
        shown = name if is_shown and _NAME.fullmatch(name) else "a parameter"
        raise ConfigurationError(
            f"{values.variable}: {shown} is neither a connection parameter nor a setting of PostgreSQL;"
            " remove it, or percent-encode & in a value as %26"
        )


def _store(values: ParameterValues, name: str, value: str, variable: str) -> None:
    values.set(name, value, variable)
    if name in UNSUPPORTED and value and value.lower() not in _FALSE:
        values.fail(name, f"is not supported: {UNSUPPORTED[name]}")


def _read_service(values: ParameterValues, environment: Mapping[str, str]) -> None:
    """Take what the URL lacks from a section of libpq's service file."""
    service = values.get("service") or environment.get("PGSERVICE")
    if not service:
        return
    variable = values.variable if values.get("service") else "PGSERVICE"
    given = values.get("servicefile") or environment.get("PGSERVICEFILE")
    sections = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
    sections.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        path = Path(given) if given else Path.home() / ".pg_service.conf"
        with path.open() as file:
            sections.read_file(file)
        section = dict(sections[service])
    except (OSError, ValueError, KeyError, RuntimeError, configparser.Error) as error:
        reason = type(error).__name__
        raise ConfigurationError(f"{variable}: the service cannot be read from its file ({reason})") from None
    for name, value in section.items():
        if not values.has(ALIASES.get(name, name)) and name not in values.server_settings:
            _read_parameter(values, name, value, is_shown=True)
