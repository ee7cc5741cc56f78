"""A primary and its synchronous standby: two embedded PostgreSQL servers, made with pg_basebackup."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from backend.db.schema import SCHEMA
from backend.devtools.cluster_layout import ClusterLayout, prepare_layout
from backend.devtools.embedded_postgres import DATABASE, embedded_postgres, server_url
from backend.platform.postgres.migration import migrate
from tests.support.database import UNSAFE_BUT_FAST
from tests.support.waiting import poll_until

__all__ = ["Pair", "PairTemplate", "Server", "pair_template"]

_SETTINGS = UNSAFE_BUT_FAST | {"synchronous_commit": "on", "wal_receiver_status_interval": "1s"}
_EVERY_STANDBY = {"synchronous_standby_names": "*"}
_NOT_YET = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass
class Server:
    """A PostgreSQL server on a Unix socket; it is started and stopped by tests."""

    layout: ClusterLayout
    data_dir: Path
    socket_dir: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The URL of the migrated database."""
        return server_url(self.socket_dir, DATABASE)

    async def start(self, settings: dict[str, str] | None = None) -> None:
        """Start the server, and wait until it accepts connections."""
        options = _SETTINGS | {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.socket_dir),
        }
        with (self.data_dir / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.layout.bin_dir / "postgres",
                "-D",
                self.data_dir,
                *(f"--{name}={value}" for name, value in (options | (settings or {})).items()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **self.layout.subprocess_user,
            )

        async def accepts() -> bool:
            return await self.query("SELECT true") is not None

        await poll_until(accepts, 60, what="the server accepts connections", retried=_NOT_YET)

    async def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server, also a suspended one: SIGINT is a fast shutdown, SIGKILL a crash."""
        if self.process is not None and self.process.returncode is None:
            self._signal_all(signal.SIGCONT)
            self.process.send_signal(how)
            await self.process.wait()

    def suspend(self) -> None:
        """Let the server keep its connections and accept more, but never respond."""
        self._signal_all(signal.SIGSTOP)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):  # a session that has just ended
                os.kill(each, number)

    async def promote(self) -> None:
        """Make the standby a primary, which waits for no standby."""
        await self.query("SELECT pg_promote()")

    async def query(self, sql: str, *arguments: Any) -> Any:
        """Return the first value of a query over a connection of its own."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    async def until(self, condition: str, what: str) -> None:
        """Wait until a query returns true."""

        async def holds() -> bool:
            return bool(await self.query(condition))

        await poll_until(holds, what=what, retried=_NOT_YET)

    async def until_waiting(self, sessions: int) -> None:
        """Wait until so many sessions, or none, wait for the standby."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        comparison = ">=" if sessions else "="
        await self.until(
            f"SELECT ({waiting}) {comparison} {sessions}", f"{sessions} sessions wait for the standby"
        )


@dataclass
class Pair:
    """A primary whose commits wait for the standby."""

    primary: Server
    standby: Server

    @property
    def hosts(self) -> list[Path]:
        """The directories of the sockets."""
        return [self.primary.socket_dir, self.standby.socket_dir]

    async def start(self) -> None:
        """Start both, and wait until the standby is synchronous."""
        await self.primary.start(_EVERY_STANDBY)
        await self.start_standby()

    async def start_standby(self) -> None:
        """Start the standby, and wait until the commits of the primary wait for it."""
        await self.standby.start()
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
        await self.primary.until(state, "the standby is synchronous")

    async def fail_over(self) -> None:
        """Kill the primary and promote the standby."""
        await self.fail_primary(signal.SIGKILL)
        await self.standby.promote()

    async def fail_primary(self, how: signal.Signals) -> None:
        """End the primary, or with SIGSTOP suspend it."""
        if how == signal.SIGSTOP:
            self.primary.suspend()
        else:
            await self.primary.stop(how)

    async def stop(self) -> None:
        """End both servers."""
        await asyncio.gather(*(each.stop(signal.SIGQUIT) for each in (self.primary, self.standby)))


@dataclass(frozen=True)
class PairTemplate:
    """The stopped servers that each test gets a copy of."""

    folder: Path
    layout: ClusterLayout

    @contextlib.asynccontextmanager
    async def pair(self) -> AsyncIterator[Pair]:
        """Start a copy of both servers."""
        folder = self.folder / uuid4().hex[:8]
        pair = Pair(*(self._copy(folder, name) for name in ("primary", "standby")))
        conninfo = f"host={pair.primary.socket_dir} user=postgres application_name=standby"
        with (pair.standby.data_dir / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{conninfo}'\n")
        try:
            await pair.start()
            yield pair
        finally:
            await pair.stop()
            shutil.rmtree(folder)

    def _copy(self, folder: Path, name: str) -> Server:
        server = Server(self.layout, folder / name / "data", folder / name)
        shutil.copytree(self.folder / name, server.data_dir)
        _give(self.layout, folder, *folder.rglob("*"))
        return server


@contextlib.asynccontextmanager
async def pair_template(folder: Path) -> AsyncIterator[PairTemplate]:
    """Make a migrated primary and its standby, both stopped.

    Args:
        folder: Where their data is; a directory that every user can enter.
    """
    async with embedded_postgres(folder / "origin", _SETTINGS) as url:
        await migrate(url, SCHEMA)
        layout = prepare_layout(folder / "origin")
        await _backup(layout, folder / "standby", "--write-recovery-conf")
    shutil.copytree(layout.data_dir, folder / "primary")
    yield PairTemplate(folder, layout)


async def _backup(layout: ClusterLayout, target: Path, *options: str) -> None:
    _make_directory(layout, target)
    program = layout.bin_dir / "pg_basebackup"
    connection = (f"--host={layout.socket_dir}", "--username=postgres", "--checkpoint=fast")
    process = await asyncio.create_subprocess_exec(
        *(str(program), f"--pgdata={target}", *connection, *options),
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        **layout.subprocess_user,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


def _make_directory(layout: ClusterLayout, path: Path) -> None:
    path.mkdir()
    _give(layout, path)


def _give(layout: ClusterLayout, *paths: Path) -> None:
    """Give files to the user of the servers: PostgreSQL does not run as root."""
    for path in paths:
        if layout.user:
            os.chown(path, layout.user.pw_uid, layout.user.pw_gid)
        if path.is_dir():
            path.chmod(0o700)
