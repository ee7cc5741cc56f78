"""The variants to compare. Each runs pinned to one core."""

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
    "postgres_cpu_seconds",
    "run_server",
]

ROUTES = ("list", "search", "get", "create", "patch", "complete", "mixed")
_ROOT = Path(__file__).parents[2]
_START_SECONDS = 600  # a process that ends is noticed at once
# Read at import, before the runner changes its CPU affinity.
SERVER_CORES = frozenset({min(os.sched_getaffinity(0))})
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Variant:
    """A service to measure.

    Attributes:
        name: Name in the report.
        baseline: Module in deploy/bench/baselines; None is the service.
        routes: The routes that it has.
        under_gunicorn: Whether it runs with the service's Gunicorn configuration; else with uvicorn alone.
        token: Algorithm of the tokens that it accepts.
        environment: Environment variables besides the common ones.
        root: Directory of the checkout.
        python: Path of the interpreter.
    """

    name: str
    baseline: str | None = None
    routes: tuple[str, ...] = ROUTES
    under_gunicorn: bool = True
    token: str = "HS256"  # noqa: S105 - the name of an algorithm
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = _ROOT
    python: str = sys.executable


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
        """Return the CPU time (user and system) of the process and its children, in nanosecond resolution."""
        return sum(_thread_seconds(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return the process ids of the master and its workers."""
        return [self.process.pid, *child_pids(self.process.pid)]


def child_pids(pid: int) -> list[int]:
    """Return the process ids of the live children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Return the CPU time (user and system) of a process, or 0 if it has just ended.

    Args:
        pid: Process id.
        with_ended: Whether to add the CPU time of ended children. That of live children is never included.
    """
    try:
        # Field 2, the name, can contain spaces. It ends with the last parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS


def postgres_cpu_seconds(postmaster: int) -> float:
    """Return the CPU time of a PostgreSQL server: the postmaster, its live children and those that have ended."""
    return cpu_seconds(postmaster, with_ended=True) + sum(map(cpu_seconds, child_pids(postmaster)))


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
        variant: The variant to run.
        folder: Directory for its log and run files.
        environment: The common environment variables.
        enter: Called in the new process before exec, to limit its resources; by default pins it to one core.

    Raises:
        TimeoutError: The server did not respond within ten minutes.
    """
    port, ops_port = _free_ports()
    folder = folder / variant.name.replace(", ", "-").replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    module = (
        "backend.main:app" if variant.baseline is None else f"deploy.bench.baselines.{variant.baseline}:app"
    )
    if variant.under_gunicorn:
        # Searched, because an earlier commit can have it in another package.
        (configuration,) = (variant.root / "backend").rglob("gunicorn_conf.py")
        name = ".".join(configuration.relative_to(variant.root).with_suffix("").parts)
        arguments = ["gunicorn", "--config", f"python:{name}", module]
    else:
        arguments = ["uvicorn", module, "--no-access-log", "--port", str(port), "--log-level", "warning"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(variant.python, "-m", *arguments),
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
        await _wait_for_response(process, port, folder / "log")
        yield Server(variant, port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _wait_for_response(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient() as client:
        while True:
            if process.returncode is not None:
                raise RuntimeError(await asyncio.to_thread(log.read_text))
            with contextlib.suppress(httpx.TransportError):
                # Any response will do: the server runs.
                await client.get(f"http://127.0.0.1:{port}/health")
                return
            await asyncio.sleep(0.05)


def _free_ports() -> tuple[int, int]:
    # Both ports are open at the same time, because the system can assign a closed port again.
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]
