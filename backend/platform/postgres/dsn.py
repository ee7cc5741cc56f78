"""Parses PostgreSQL URLs, also as providers publish them, into connection parameters.

The syntax is that of libpq (https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
Error messages contain no values of the URL except paths of files, so they cannot reveal a part of the password.
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
from backend.platform.postgres.driver_parameters import apply_driver_parameter, is_driver_parameter
from backend.platform.postgres.parameter_checks import build_parameters
from backend.platform.postgres.parameter_values import FALSE_VALUES, ParameterValues
from backend.platform.postgres.tls import build_ssl_context
from backend.platform.postgres.url_parameters import (
    ALIASES,
    ENVIRONMENT_VARIABLES,
    IGNORED,
    SUPPORTED,
    UNSUPPORTED,
    is_server_setting,
)
from backend.platform.settings.database import DatabaseSettings

__all__ = ["check_dsns", "migration_parameters", "parse_dsn", "service_parameters", "shard_parameters"]

_SCHEME: Final = re.compile(r"postgres(ql)?(\+\w+)?", re.ASCII)
_EXPECTED_FORM: Final = "must look like postgresql://user:password@host/database"
_NOT_PARSABLE: Final = (
    "cannot be read; percent-encode special characters in user and password (%40 for @, %2F for /, %3F for ?,"
    " %25 for %)"
)
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z][\w.-]{0,62}", re.ASCII)
_SECRET_PARAMETERS: Final = frozenset(
    {"oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"}
)


def service_parameters(settings: DatabaseSettings) -> ConnectionParameters:
    """Return the service's current connection parameters. A rotated DATABASE_URL_FILE changes them.

    Raises:
        ConfigurationError: DATABASE_URL or its file is unreadable or invalid.
    """
    return parse_dsn(
        settings.current_database_url() or "",
        variable=_variable_of("DATABASE_URL", settings.database_url_file),
        pooler=settings.database_pooler,
        environment=os.environ,
    )


def migration_parameters(settings: DatabaseSettings) -> ConnectionParameters:
    """Return the connection parameters of migrations: DATABASE_MIGRATION_URL, else those of the service.

    Raises:
        ConfigurationError: The URL or its file is unreadable or invalid.
    """
    if settings.database_migration_url is None and settings.database_migration_url_file is None:
        return service_parameters(settings)
    return parse_dsn(
        settings.current_migration_url() or "",
        variable=_variable_of("DATABASE_MIGRATION_URL", settings.database_migration_url_file),
        environment=os.environ,
    )


def shard_parameters(settings: DatabaseSettings) -> list[ConnectionParameters]:
    """Return the connection parameters of the shards in order; none without DATABASE_SHARD_URLS.

    Raises:
        ConfigurationError: A URL or the file is unreadable or invalid; the message has the number of the URL.
    """
    variable = _variable_of("DATABASE_SHARD_URLS", settings.database_shard_urls_file)
    return [
        parse_dsn(url, variable=f"{variable}, URL {number},", environment=os.environ)
        for number, url in enumerate(settings.current_shard_urls(), 1)
    ]


def check_dsns(settings: DatabaseSettings) -> None:
    """Check the URLs of the service, of migrations and of shards, and load their certificates, without connecting.

    Raises:
        ConfigurationError: A URL is invalid or a file cannot be loaded; the message names the variable.
    """
    if settings.uses_embedded_database:
        return
    urls = (service_parameters(settings), migration_parameters(settings), *shard_parameters(settings))
    for parameters in urls:
        build_ssl_context(parameters.tls, parameters.hosts[0].name)


def parse_dsn(
    url: str,
    *,
    variable: str = "DATABASE_URL",
    pooler: PoolerSetting = "auto",
    environment: Mapping[str, str] | None = None,
) -> ConnectionParameters:
    """Parse a URL such as Neon's `postgres://user:password@host/database?sslmode=require&channel_binding=require`.

    Args:
        url: URL to parse. A driver in the scheme, such as `postgresql+asyncpg`, is ignored.
        variable: Variable that contains the URL, for error messages.
        pooler: Mode of the pooler in front of the server; `auto` derives it from the URL.
        environment: Environment with libpq's variables (PGPASSWORD, PGSSLMODE, …), which are defaults for missing
            parameters. None ignores these variables and libpq's files in the home directory.

    Raises:
        ConfigurationError: The URL is invalid or not supported; the message names the variable.
    """
    values = ParameterValues(variable, reads_environment=environment is not None)
    _parse_url(values, url)
    if environment is not None:
        _read_service_file(values, environment)
        for name, default in ENVIRONMENT_VARIABLES.items():
            if environment.get(default) and not values.has(name):
                _set(values, name, environment[default], default)
    return build_parameters(values, pooler)


def _variable_of(name: str, file: Path | None) -> str:
    return name if file is None else f"{name}_FILE"


def _parse_url(values: ParameterValues, url: str) -> None:
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme.lower()):
        raise ConfigurationError(f"{values.variable} {_EXPECTED_FORM}")
    # The last @ ends the password. A / or ? before it makes the URL ambiguous, so it is rejected below.
    userinfo, _, location = rest.rpartition("@")
    parts = re.fullmatch(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?", location)
    if "/" in userinfo or "?" in userinfo or parts is None or re.search(r"[\0-\x1f\x7f]", rest):
        raise ConfigurationError(f"{values.variable} {_NOT_PARSABLE}")
    authority, database, query = parts.groups()
    user, _, password = userinfo.partition(":")
    hosts, ports = zip(*(_split_host_port(values, each) for each in authority.split(",")), strict=True)
    components = {
        "user": user,
        "password": password,
        "host": ",".join(hosts) if any(hosts) else "",
        "port": ",".join(ports) if any(ports) else "",
        "dbname": database,
    }
    for name, value in components.items():
        if value:
            values.set(name, _decode(values, value))
    # After a secret, a name may be the rest of a value with an unencoded &.
    may_be_secret = False
    for name, value in _split_query(values, query or ""):
        _read_parameter(values, name, value, is_name_public=not may_be_secret)
        may_be_secret = may_be_secret or name in _SECRET_PARAMETERS


def _split_host_port(values: ParameterValues, text: str) -> tuple[str, str]:
    parts = re.fullmatch(r"\[([^\]]+)\](?::([^:]*))?|([^:\[\]]*)(?::([^:]*))?", text)
    if parts is None:
        raise ConfigurationError(
            f"{values.variable} has an invalid host or port; write an IPv6 address in brackets, and"
            " percent-encode special characters in user and password"
        )
    ipv6_address, ipv6_port, name, port = parts.groups()
    return ipv6_address or name or "", ipv6_port or port or ""


def _split_query(values: ParameterValues, query: str) -> Iterator[tuple[str, str]]:
    for text in query.split("&"):
        name, separator, value = text.partition("=")
        if text and not (separator and name):
            raise ConfigurationError(
                f"{values.variable}: a parameter after ? is not of the form name=value; percent-encode special"
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
        raise ConfigurationError(f"{values.variable} {_NOT_PARSABLE}") from None
    return decoded


def _read_parameter(values: ParameterValues, name: str, value: str, *, is_name_public: bool) -> None:
    name = ALIASES.get(name, name)
    if name == "options" and value.startswith("-c+"):
        value = value.replace("+", " ")  # + is a space in form encoding; libpq would not recognize the option
    if name in SUPPORTED or name in UNSUPPORTED:
        _set(values, name, value, values.variable)
    elif is_driver_parameter(name):
        apply_driver_parameter(values, name, value)
    elif name in IGNORED:
        pass
    elif is_server_setting(name):
        values.server_settings[name] = value
    else:
        label = name if is_name_public and _PARAMETER_NAME.fullmatch(name) else "a parameter"
        raise ConfigurationError(
            f"{values.variable}: {label} is neither a connection parameter nor a setting of PostgreSQL;"
            " remove it, or percent-encode & in a value as %26"
        )


def _set(values: ParameterValues, name: str, value: str, variable: str) -> None:
    values.set(name, value, variable)
    if name in UNSUPPORTED and value and value.lower() not in FALSE_VALUES:
        values.fail(name, f"is not supported: {UNSUPPORTED[name]}")


def _read_service_file(values: ParameterValues, environment: Mapping[str, str]) -> None:
    """Read missing parameters from a section of libpq's connection service file."""
    service = values.get("service") or environment.get("PGSERVICE")
    if not service:
        return
    variable = values.variable if values.get("service") else "PGSERVICE"
    file_name = values.get("servicefile") or environment.get("PGSERVICEFILE")
    sections = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
    sections.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        path = Path(file_name) if file_name else Path.home() / ".pg_service.conf"
        with path.open() as file:
            sections.read_file(file)
        section = dict(sections[service])
    except (OSError, ValueError, KeyError, RuntimeError, configparser.Error) as error:
        reason = type(error).__name__
        raise ConfigurationError(
            f"{variable}: the service cannot be read from its service file ({reason}); check servicefile or PGSERVICEFILE"
        ) from None
    for name, value in section.items():
        if not values.has(ALIASES.get(name, name)) and name not in values.server_settings:
            _read_parameter(values, name, value, is_name_public=True)
