"""What a connection to PostgreSQL needs to know, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from backend.platform.postgres.tls import TlsParameters

__all__ = ["ConnectionParameters", "Host", "Pooler", "PoolerSetting"]

Pooler = Literal["none", "session", "transaction"]
PoolerSetting = Literal["auto", "none", "session", "transaction"]


@dataclass(frozen=True, slots=True)
class Host:
    """Where a server listens.

    Attributes:
        name: Its name, which a certificate is compared with; or the directory of a Unix socket.
        address: The name or IP address to connect to; the name where no `hostaddr` is given.
        port: 1 to 65535; a Unix socket has it in its file's name.
    """

    name: str
    address: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether this is a Unix socket."""
        return self.address.startswith("/")


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """How to connect; names and meanings are libpq's.

    Attributes:
        variable: Where the parameters come from, for errors: such as DATABASE_URL.
        hosts: Tried in order, or at random; at least one.
        user: The role.
        password: None where it comes from a password file.
        passfile: The password file; None for libpq's default one.
        database: Its name.
        tls: How TCP connections are encrypted.
        server_settings: PostgreSQL's settings for each session, by name.
        options: Command-line options for the server, as they are sent.
        target_session_attrs: Which server of several is accepted.
        connect_timeout_seconds: Longest wait for each host; None where the URL leaves it to the service.
        load_balance_hosts: Try the hosts in random order.
        krbsrvname: Kerberos service name; None for the server's default.
        gsslib: GSS library.
        pooler: Which pooler stands before the server.
        ignores_channel_binding: The server was to be authenticated by channel binding, which the driver lacks.
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
        """Longest wait for all hosts; None where the URL leaves it to the service."""
        each = self.connect_timeout_seconds
        return None if each is None else each * len(self.hosts)
