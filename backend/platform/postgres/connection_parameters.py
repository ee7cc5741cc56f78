"""Validated parameters of a connection to PostgreSQL."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from backend.platform.postgres.tls import TlsParameters

__all__ = ["ConnectionParameters", "Host", "HostOrder", "Pooler", "PoolerSetting"]

Pooler = Literal["none", "session", "spqr", "transaction"]
PoolerSetting = Literal["auto", "none", "session", "spqr", "transaction"]


@dataclass(frozen=True, slots=True)
class Host:
    """Address of a server.

    Attributes:
        name: Host name, which the certificate is compared with, or the directory of a Unix socket.
        address: Host name or IP address to connect to: `hostaddr` if given, else `name`.
        port: 1 to 65535; part of the file name of a Unix socket.
    """

    name: str
    address: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether the address is a Unix socket."""
        return self.address.startswith("/")


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """How to connect. Names and meanings are those of libpq.

    Attributes:
        variable: Variable that contains the URL, such as DATABASE_URL, for error messages.
        hosts: Servers to try in order; at least one.
        user: Role name.
        password: None if a password file provides it.
        passfile: Password file; None for libpq's default file.
        database: Database name.
        tls: TLS parameters of TCP connections.
        server_settings: Run-time settings of each session by name.
        options: Command-line options for the server, unparsed.
        target_session_attrs: Required state of the session, such as `primary`.
        connect_timeout_seconds: Time limit per host; None if the URL has no `connect_timeout`.
        load_balance_hosts: Whether to try the hosts in random order.
        krbsrvname: Kerberos service name; None for the server's default.
        gsslib: GSSAPI library, `gssapi` or `sspi`.
        pooler: Mode of the pooler in front of the server; `spqr` for a router of shards.
        ignores_channel_binding: Whether `channel_binding=require` is not enforced, which asyncpg cannot do.
    """

    variable: str
    hosts: tuple[Host, ...]
    user: str
    password: str | None = field(repr=False)
    passfile: str | None
    database: str
    tls: TlsParameters
    server_settings: Mapping[str, str]
    options: str
    target_session_attrs: str
    connect_timeout_seconds: float | None
    load_balance_hosts: bool
    krbsrvname: str | None
    gsslib: str
    pooler: Pooler
    ignores_channel_binding: bool

    @property
    def total_timeout_seconds(self) -> float | None:
        """Time limit for all hosts together; None if the URL has no `connect_timeout`."""
        each = self.connect_timeout_seconds
        return None if each is None else each * len(self.hosts)


class HostOrder:
    """The order in which hosts are tried: the one that accepted the last connection first.

    After a failover, a host that does not respond delays one connection instead of every one.
    """

    def __init__(self) -> None:
        self._last: Host | None = None

    def sort(self, hosts: Iterable[Host]) -> list[Host]:
        """Return the hosts in the order in which to try them."""
        return sorted(hosts, key=lambda host: host != self._last)

    def accepted(self, host: Host) -> None:
        """Remember the host that has accepted a connection."""
        self._last = host
