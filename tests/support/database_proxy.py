"""HAProxy from Debian, in front of a primary and its standby: forwards connections to the primary only."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from backend.devtools.embedded_postgres import DATABASE
from tests.support.reverse_proxies import run_program
from tests.support.workers import free_port

__all__ = ["database_proxy"]

# A server reports `in_hot_standby` when a client logs in. With Patroni, `option httpchk GET /primary` is the usual check.
_LOGIN = b"\0\3\0\0user\0postgres\0database\0postgres\0\0"
_CONFIGURATION = """
global
  log stdout format raw local0
defaults
  mode tcp
  log global
  timeout connect 1s
  timeout client 1h
  timeout server 1h
listen database
  bind 127.0.0.1:{port}
  bind unix@{socket} mode 777
  option tcp-check
  tcp-check send-binary {login}
  tcp-check expect binary {is_primary}
  timeout check 1s
  default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""


@contextlib.asynccontextmanager
async def database_proxy(sockets: Sequence[Path], folder: Path) -> AsyncIterator[str]:
    """Run HAProxy until the block ends, and yield the URL of the database by way of it.

    It listens on the socket of `folder`, too.

    Args:
        sockets: The directory of each server's socket.
        folder: For its files.
    """
    port = free_port()
    configuration = _CONFIGURATION.format(
        port=port,
        socket=folder / ".s.PGSQL.5432",
        login=((len(_LOGIN) + 4).to_bytes(4) + _LOGIN).hex(),
        is_primary=b"in_hot_standby\0off\0".hex(),
    )
    for number, directory in enumerate(sockets):
        configuration += f"  server database-{number} unix@{directory}/.s.PGSQL.5432\n"
    async with run_program("haproxy", configuration, folder, port):
        yield f"postgresql://postgres@127.0.0.1:{port}/{DATABASE}?sslmode=disable"
