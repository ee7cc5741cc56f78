"""What is compared, and how each one is started: pinned to a core of its own."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

__all__ = [
    "ROUTES",
    "SERVER_CORES",
    "VARIANTS",
    "Server",
    "Variant",
    "child_pids",
    "cpu_seconds",
    "run_server",
]

ROUTES = ("list", "search", "get", "create", "patch", "complete", "mixed")
_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60
# Asked before the runner leaves it to the servers.
SERVER_CORES = frozenset({min(os.sched_getaffinity(0))})
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Variant:
    """One service to measure.

    Attributes:
        name: In the report.
        peer: Module of deploy/bench/peers; None: the service itself.
        routes: Which it answers.
        under_gunicorn: Run by our Gunicorn configuration, as the service is; else by uvicorn alone.
        token: The kind of token that it takes.
        environment: Settings besides those of all.
        root: Folder of the checkout that it is taken from.
    """

    name: str
    peer: str | None = None
    routes: tuple[str, ...] = ROUTES
    under_gunicorn: bool = True
    token: str = "HS256"  # noqa: S105 - the name of an algorithm
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = _ROOT


VARIANTS = (
    Variant("ours"),
    Variant("ours, EdDSA", token="EdDSA"),  # noqa: S106 - the name of an algorithm
    Variant("ours, unobserved", "unobserved", environment={"OTEL_SDK_DISABLED": "true"}),
    Variant("ours, layers", "layers", under_gunicorn=False),
    Variant("bare", "bare", under_gunicorn=False),
    Variant("raw", "raw", ("list", "get"), under_gunicorn=False),
    Variant("conventional", "conventional", under_gunicorn=False),
)


@dataclass(frozen=True)
class Server:
    """A running variant."""

    variant: Variant
    port: int
    process: asyncio.subprocess.Process

    def cpu_seconds(self) -> float:
        """Return the CPU time (user and system) of the process and its children so far, to the nanosecond."""
        return sum(_thread_seconds(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return the master's id and its workers'."""
        return [self.process.pid, *child_pids(self.process.pid)]


def child_pids(pid: int) -> list[int]:
    """Return the ids of a process's children that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Return the CPU time (user and system) of a process so far, 0 where it has just ended.

    Args:
        pid: Of the process.
        with_ended: Add that of its children that have ended; never that of those that live.
    """
    try:
        # Field 2, the name, may hold spaces; it ends with the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS


def _thread_seconds(pid: int) -> float:
    # Field 1 of schedstat is the time on a CPU in nanoseconds; `stat` counts in ticks of 10 ms.
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextlib.asynccontextmanager
async def run_server(
    variant: Variant,
    folder: Path,
    environment: Mapping[str, str],
    enter: Callable[[], None] = lambda: os.sched_setaffinity(0, SERVER_CORES),
) -> AsyncIterator[Server]:
    """Run a variant until the block ends.

    Args:
        variant: What to run.
        folder: For its log and run files.
        environment: Database and secret.
        enter: Called in its process before it starts, to bound what it may use; by default one core.

    Raises:
        TimeoutError: It did not answer within a minute.
    """
    port, ops_port = _free_ports()
    folder = folder / variant.name.replace(", ", "-").replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    module = "backend.main:app" if variant.peer is None else f"deploy.bench.baselines.{variant.peer}:app"
    if variant.under_gunicorn:
        arguments = ["gunicorn", "--config", "python:backend.platform.server.gunicorn_conf", module]
    else:
        arguments = ["uvicorn", module, "--no-access-log", "--port", str(port), "--log-level", "warning"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            cwd=variant.root,
            env={
                **os.environ,
                "PYTHONPATH": str(variant.root),
                "ENVIRONMENT": "production",
                "PORT": str(port),
                "OPS_PORT": str(ops_port),
                "RUN_DIR": str(folder / "run"),
                "DATA_DIR": str(folder),
                **environment,
                **variant.environment,
            },
            stdout=log,
            stderr=log,
            preexec_fn=enter,
        )
    try:
        await _until_answered(process, port, folder / "log")
        yield Server(variant, port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _until_answered(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient() as client:
        while True:
            if process.returncode is not None:
                raise RuntimeError(await asyncio.to_thread(log.read_text))
            with contextlib.suppress(httpx.TransportError):
                # Whatever the answer: it serves.
                await client.get(f"http://127.0.0.1:{port}/health")
                return
            await asyncio.sleep(0.05)


def _free_ports() -> tuple[int, int]:
    # Both are open at once: one that is closed may be given again.
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]
