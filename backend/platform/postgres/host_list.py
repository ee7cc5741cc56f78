"""Parses `host`, `hostaddr` and `port`, each of which may be a comma-separated list."""

import contextlib
import ipaddress
import re
from typing import Final

from backend.platform.postgres.connection_parameters import Host
from backend.platform.postgres.parameter_values import ParameterValues
from backend.platform.settings.environment import parse_port

__all__ = ["read_hosts"]

_DEFAULT_PORT: Final = 5432
_SOCKET_PATH_MAX_BYTES: Final = 107  # limit of Linux


def read_hosts(values: ParameterValues) -> list[Host]:
    """Return the hosts of a connection, at least one.

    Raises:
        ConfigurationError: No host is given, or a host, address or port is invalid.
    """
    names, addresses, ports = (values.split_list(name) for name in ("host", "hostaddr", "port"))
    count = len(names or addresses)
    if not count:
        values.fail("host", "is missing: write postgresql://user:password@host/database")
    if names and addresses and len(addresses) != count:
        values.fail("hostaddr", "must have as many entries as host")
    if len(ports) not in {0, 1, count}:
        values.fail("port", "must have one entry, or as many as host")
    ports = (ports or [""]) * count if len(ports) < count else ports
    names, addresses = names or addresses, addresses or [""] * count
    return [_parse_host(values, *each) for each in zip(names, addresses, ports, strict=True)]


def _parse_host(values: ParameterValues, name: str, address: str, port_text: str) -> Host:
    # asyncpg and SQLAlchemy accept host:port in a query.
    if match := re.fullmatch(r"([^:/]+):([0-9]+)", name):
        name, port_text = match.groups()
    port = _parse_port(values, port_text)
    if address and not _is_ip_address(address):
        values.fail("hostaddr", "must be an IP address")
    if name.startswith("/"):
        path = name if ".s.PGSQL." in name else f"{name}/.s.PGSQL.{port}"
        if len(path.encode(errors="surrogateescape")) > _SOCKET_PATH_MAX_BYTES:
            values.fail(
                "host", f"is too long for a Unix socket: {_SOCKET_PATH_MAX_BYTES} bytes with the file name"
            )
    elif not _is_host_name(name or address):
        values.fail("host", "must be a host name, an IP address, or the directory of a Unix socket")
    return Host(name or address, address or name, port)


def _parse_port(values: ParameterValues, text: str) -> int:
    if not text:
        return _DEFAULT_PORT
    port = 0
    with contextlib.suppress(ValueError):
        port = parse_port(text)
    if not port:
        values.fail("port", "must be a number from 1 to 65535; percent-encode : in a user or password as %3A")
    return port


def _is_ip_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_host_name(text: str) -> bool:
    if ":" in text:
        return _is_ip_address(text)
    try:
        text.encode("idna")
    except ValueError:
        return False
    return text.isprintable() and re.fullmatch(r"[^\s/?#@\\%\[\]]+", text) is not None
