"""Two or more PostgreSQL servers behind one router of shards, for the end-to-end tests and the benchmark.

The router is `spqr-router` on the PATH, with the configuration of docker-compose.yml except for addresses and passwords. Servers and
router listen on 127.0.0.1 without a password, so that any user of this machine can connect to them.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import yaml

from backend.db.schema import SCHEMA
from backend.devtools.cluster_layout import prepare_layout
from backend.devtools.embedded_postgres import DATABASE, embedded_postgres
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.shards import separate_ids

__all__ = ["PROGRAM", "Router", "Shard", "ShardedPostgres", "key_ranges", "sharded_postgres"]

PROGRAM = "spqr-router"

_FOLDER = Path(__file__).parent
_HASHES = 2**32
_START_SECONDS = 60.0


@dataclass
class Shard:
    """One PostgreSQL server.

    Attributes:
        number: From 1, in the order of the key ranges.
        port: TCP port on 127.0.0.1.
        url: URL of the database, without the router.
    """

    number: int
    port: int
    _folder: Path
    _settings: Mapping[str, str]
    url: str = ""
    _running: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def name(self) -> str:
        """Name in the router's configuration."""
        return f"shard{self.number}"

    @property
    def process_id(self) -> int:
        """Process id of the postmaster, whose children serve the connections."""
        return int((prepare_layout(self._folder).data_dir / "postmaster.pid").read_text().split()[0])

    async def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), **self._settings}
        self.url = await self._running.enter_async_context(embedded_postgres(self._folder, settings))

    async def stop(self) -> None:
        """Stop the server by a fast shutdown."""
        await self._running.aclose()

    async def kill(self) -> None:
        """Kill the server, as a machine without power does. `start` starts it again."""
        os.kill(self.process_id, signal.SIGKILL)
        await self._running.aclose()

    async def set_up(self) -> None:
        """Do what `migrate` does for a shard, and set the time limits of the role, which the router cannot set."""
        await migrate(self.url, SCHEMA)
        parameters = parse_dsn(self.url)
        await separate_ids(parameters, SCHEMA.tables, self.number)
        connection = await open_connection(parameters, timeout_seconds=_START_SECONDS)
        try:
            await connection.execute((_FOLDER / "limits.sql").read_text())
        finally:
            await connection.close()


@dataclass
class Router:
    """The router's process.

    Attributes:
        port: TCP port on 127.0.0.1.
        log_path: File with the output of the router.
    """

    port: int
    log_path: Path
    _configuration: Path
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """URL of the database through the router."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"

    @property
    def process_id(self) -> int:
        """Process id of the router."""
        if self._process is None:
            raise RuntimeError("the router is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start the router and wait until it accepts connections.

        Raises:
            RuntimeError: It ended, or accepted no connection in time.
        """
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(PROGRAM, "run", "--config", self._configuration.name),
                cwd=self._configuration.parent,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await _accepts(self.url):
                    if self._process.returncode is not None:
                        raise RuntimeError(self.log_path.read_text())
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise RuntimeError(f"{PROGRAM} accepts no connection; see {self.log_path}") from None

    async def stop(self) -> None:
        """End the router. It closes all connections at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()  # unlike SIGKILL, it removes the router's socket in /var/run/postgresql
            await self._process.wait()


@dataclass(frozen=True)
class ShardedPostgres:
    """A router and its shards, all running.

    Attributes:
        router: The router.
        shards: The shards in the order of their key ranges.
    """

    router: Router
    shards: Sequence[Shard]

    @property
    def url(self) -> str:
        """URL of the database through the router."""
        return self.router.url


@contextlib.asynccontextmanager
async def sharded_postgres(
    folder: Path, shards: int = 2, settings: Mapping[str, str] | None = None
) -> AsyncIterator[ShardedPostgres]:
    """Start PostgreSQL servers and a router before them, and stop all of them at the end.

    Args:
        folder: Directory for data and logs. As root: one that every user can enter.
        shards: Number of servers, at least 1.
        settings: Settings of each server by name.

    Yields:
        The migrated servers and the router.

    Raises:
        FileNotFoundError: `spqr-router` is not on the PATH.
        RuntimeError: The router did not start.
    """
    if shutil.which(PROGRAM) is None:
        raise FileNotFoundError(f"{PROGRAM} is not on the PATH")
    router_ports, shard_ports = _free_ports(4), _free_ports(shards)
    servers = [
        Shard(number, port, folder / f"shard{number}", settings or {})
        for number, port in enumerate(shard_ports, 1)
    ]
    configuration = _write_configuration(folder / "router", servers, router_ports)
    router = Router(router_ports[0], folder / "router" / "log", configuration)
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.stop)
            await server.start()
            await server.set_up()  # one after the other: Alembic's context is global
        stack.push_async_callback(router.stop)
        await router.start()
        yield ShardedPostgres(router, servers)


def key_ranges(shards: int) -> str:
    """Return SQL for the router that divides the users' hash values evenly between `shard1`, `shard2` and so on."""
    # A range ends where the next one begins, so the router wants the last one first.
    return "".join(
        f"CREATE KEY RANGE range{number} FROM {_HASHES * (number - 1) // shards}"
        f" ROUTE TO shard{number} FOR DISTRIBUTION users;\n"
        for number in range(shards, 0, -1)
    )


def _write_configuration(folder: Path, shards: Sequence[Shard], ports: Sequence[int]) -> Path:
    """Write the configuration of docker-compose.yml for these shards and ports; return the router's file."""
    folder.mkdir()
    configuration = yaml.safe_load((_FOLDER / "router.yaml").read_text())
    names = ("router_port", "router_ro_port", "admin_console_port", "grpc_api_port")
    configuration |= {name: str(port) for name, port in zip(names, ports, strict=True)}
    configuration["host"] = "127.0.0.1"
    configuration["frontend_rules"][0]["auth_rule"] = {"auth_method": "ok"}
    del configuration["backend_rules"][0]["auth_rule"]
    template = configuration["shards"]["shard1"]
    configuration["shards"] = {each.name: template | {"hosts": [f"127.0.0.1:{each.port}"]} for each in shards}
    relations = (_FOLDER / "init.sql").read_text().partition("CREATE KEY RANGE")[0]
    (folder / "init.sql").write_text(relations + key_ranges(len(shards)))
    file = folder / "router.yaml"
    file.write_text(yaml.safe_dump(configuration, sort_keys=False))
    return file


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


async def _accepts(url: str) -> bool:
    """Whether the router answers a session: it listens before it has read which user is where."""
    try:
        # The router is no PostgreSQL that says whether it is a standby.
        parameters = parse_dsn(f"{url}&target_session_attrs=any")
        connection = await open_connection(parameters, timeout_seconds=_START_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False

    connection.terminate()

    return True
