"""Where the service listens: every form of HOST becomes an address to bind and a URL to call."""

import errno
import os
import socket
from ipaddress import ip_address

from backend.platform.errors import ConfigurationError

__all__ = [
    "BACKLOG",
    "PortTaken",
    "check_address",
    "gunicorn_bind",
    "local_host",
    "local_url",
    "open_listener",
]

BACKLOG = 2048


class PortTaken(ConfigurationError):
    """Another process listens on the port."""


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; `::` takes IPv4 as well.

    Args:
        host: An IP address without brackets, or a host name.
        port: 0 takes a free one.

    Raises:
        PortTaken: Another process listens there.
        ConfigurationError: The address does not exist here, or this user may not use the port.
    """
    listener = _bind(host, port)
    listener.listen(BACKLOG)
    return listener


def check_address(host: str, port: int) -> None:
    """Raise what `open_listener` would raise, without listening: no client notices it."""
    _bind(host, port).close()


def gunicorn_bind(host: str, port: int) -> str:
    """Return the address as Gunicorn's `bind`, which knows IPv6 only as numbers in brackets.

    Raises:
        ConfigurationError: The host name does not resolve.
    """
    family, (address, *_) = _resolve(host, port)
    return f"[{address}]:{port}" if family is socket.AF_INET6 else f"{address}:{port}"


def local_host(host: str) -> str:
    """Return the host that a client on this machine connects to: the loopback address where `host` is every address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def local_url(host: str, port: int) -> str:
    """Return the URL of the service for a client on this machine (RFC 3986 §3.2.2)."""
    name = local_host(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # the second where a label is longer than 63 characters
        reason = error.strerror if isinstance(error, OSError) else "too long"
        raise ConfigurationError(f"HOST: {host!r} cannot be resolved ({reason}); use an IP address") from None
    # A name may have addresses of both families; clients of `localhost` always try IPv4.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
    return family, address  # type: ignore[return-value]  # its later members are numbers


def _bind(host: str, port: int) -> socket.socket:
    family, address = _resolve(host, port)
    listener: socket.socket | None = None
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise _refusal(error, host, port) from None
    return listener


def _refusal(error: OSError, host: str, port: int) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} of {host} is taken; stop what listens there, or choose another by PORT, OPS_PORT or --port"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return ConfigurationError(f"port {port} is not allowed for this user; set PORT to one above 1023")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ConfigurationError(
        f"HOST: {host} cannot be listened on ({reason}); use an address of this machine"
    )
