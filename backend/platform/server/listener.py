"""The listening sockets of the service: converts HOST and ports to addresses to bind and URLs to call."""

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
    """Another process already listens on the port."""


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket. `::` accepts IPv4 connections as well.

    Args:
        host: An IP address without brackets, or a host name.
        port: The port; 0 selects a free one.

    Raises:
        PortTaken: Another process already listens on the port.
        ConfigurationError: The address does not exist here, or this user may not use the port.
    """
    listener = _bind(host, port)
    listener.listen(BACKLOG)
    return listener


def check_address(host: str, port: int) -> None:
    """Raise the errors of `open_listener` without listening, so that no client can connect."""
    _bind(host, port).close()


def gunicorn_bind(host: str, port: int) -> str:
    """Return the address for Gunicorn's `bind`, which accepts IPv6 only as an address in brackets.

    Raises:
        ConfigurationError: The host name does not resolve.
    """
    family, (address, *_) = _resolve(host, port)
    return f"[{address}]:{port}" if family is socket.AF_INET6 else f"{address}:{port}"


def local_host(host: str) -> str:
    """Return the host that a local client connects to: the loopback address if `host` is the unspecified address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def local_url(host: str, port: int) -> str:
    """Return the URL of the service for a local client (RFC 3986 §3.2.2)."""
    name = local_host(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, ...]]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError if a label is longer than 63 characters
        reason = error.strerror if isinstance(error, OSError) else "too long"
        raise ConfigurationError(f"HOST: {host!r} cannot be resolved ({reason}); use an IP address") from None
    # Prefer IPv4: a name can have addresses of both families, and clients of `localhost` always try IPv4.
    family, _, _, _, address = min(addresses, key=lambda entry: entry[0] is not socket.AF_INET)
    return family, address  # type: ignore[return-value]  # the other members are numbers


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
        raise _configuration_error(error, host, port) from None
    return listener


def _configuration_error(error: OSError, host: str, port: int) -> ConfigurationError:
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
