"""The servers of a connection: `host`, `hostaddr` and `port`, each of which may be a list."""

import ipaddress
import re
from typing import Final

from backend.platform.postgres.connection_parameters import Host
from backend.platform.postgres.parameter_values import ParameterValues

__all__ = ["read_hosts"]

_DEFAULT_PORT: Final = 5432
_PORT_MAX: Final = 65535
_SOCKET_PATH_MAX: Final = 107
"""Bytes that Linux takes."""


def read_hosts(values: ParameterValues) -> tuple[Host, ...]:
    """Return the hosts that `host`, `hostaddr` and `port` name; at least one.

    Raises:
        ConfigurationError: There is none, or one is impossible.
    """
    names, addresses, ports = (values.items_of(name) for name in ("host", "hostaddr", "port"))
    count = len(names or addresses)
    if not count:
        values.fail("host", "is missing: write postgresql://user:password@host/database")
    if names and addresses and len(addresses) != count:
        values.fail("hostaddr", "must have as many entries as host")
    if len(ports) not in {0, 1, count}:
        values.fail("port", "must have one entry, or as many as host")
    ports = (ports or [""]) * count if len(ports) < count else ports
    names, addresses = names or addresses, addresses or [""] * count
    return tuple(map(_host, [values] * count, names, addresses, ports))


def _host(values: ParameterValues, name: str, address: str, port: str) -> Host:
    if match := re.fullmatch(r"([^:/]+):([0-9]+)", name):  # as asyncpg and SQLAlchemy take it in a query
        name, port = match.groups()
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= len(str(_PORT_MAX)) else -1
    if port and not 1 <= number <= _PORT_MAX:
        values.fail("port", "must be a number from 1 to 65535; percent-encode : in a user or password as %3A")
    number = number if port else _DEFAULT_PORT
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            values.fail("hostaddr", "must be an IP address")
    if name.startswith("/"):
        path = name if ".s.PGSQL." in name else f"{name}/.s.PGSQL.{number}"
        if len(path.encode(errors="surrogateescape")) > _SOCKET_PATH_MAX:
            values.fail("host", "is a longer path than a Unix socket can have")
        return Host(name, address or name, number)
    _check_host_name(values, name or address)
    return Host(name or address, address or name, number)


def _check_host_name(values: ParameterValues, name: str) -> None:
    try:
        is_valid = (
            bool(ipaddress.IPv6Address(name))
            if ":" in name
            else bool(name.encode("idna") and re.fullmatch(r"[^\s/?#@\\%\[\]]+", name)) and name.isprintable()
        )
    except ValueError:
        is_valid = False
    if not is_valid:
        values.fail("host", "must be a host name, an IP address, or the directory of a Unix socket")
