"""Generates load, failures and latency to exercise dashboards and alerts: `make drill`."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from asyncio.subprocess import create_subprocess_exec
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

__all__ = ["PHASES", "Phase", "main"]

_ROOT = Path(__file__).parents[1]
_COMMAND = Path(sys.executable).with_name("task-service")
_START_SECONDS = 60


@dataclass(frozen=True)
class Phase:
    """Injected faults and load of one phase.

    Attributes:
        error_rate: Share of requests that fail, 0 to 1.
        latency_seconds: Delay of each request in seconds.
        clients: Number of concurrent clients, each of which sends one request after the other.
    """

    error_rate: float
    latency_seconds: float
    clients: int

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the service; fault injection needs ENVIRONMENT=development."""
        return {
            "ENVIRONMENT": "development",
            "FAULT_ERROR_RATE": str(self.error_rate),
            "FAULT_LATENCY_SECONDS": str(self.latency_seconds),
        }


PHASES = {
    "calm": Phase(0, 0, 2),
    "crowd": Phase(0, 0, 64),
    "failing": Phase(0.2, 0, 4),
    "slow": Phase(0, 0.6, 16),
}
"""Phases by name."""


@contextlib.asynccontextmanager
async def _local(phase: Phase, options: Any) -> AsyncIterator[None]:
    """Start the service as a child process; the ops port serves its metrics."""
    server = {"PORT": str(options.port), "OPS_PORT": str(options.ops_port), "WORKERS": "2"}
    process = await create_subprocess_exec(
        _COMMAND, "serve", env=os.environ | server | phase.environment(), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient() as client:
            while not await _is_ready(client, f"http://127.0.0.1:{options.ops_port}/readyz"):
                if process.returncode is not None:
                    raise SystemExit("drill: the service exited; its output is above")
                await asyncio.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


@contextlib.asynccontextmanager
async def _compose(phase: Phase, options: Any) -> AsyncIterator[None]:  # noqa: ARG001 - same signature as _local
    """Inject the faults into the service of `docker compose`, and remove them at the end."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"services": {"api": {"environment": phase.environment()}}}, file)
        file.flush()
        up = ("up", "--detach", "--no-deps", "--wait", "api")
        try:
            await _run("docker", "compose", "-f", "docker-compose.yml", "-f", file.name, *up)
            yield
        finally:
            await _run("docker", "compose", *up)


async def _run(*command: str | Path, accepted: tuple[int, ...] = (0,)) -> None:
    process = await create_subprocess_exec(*command, cwd=_ROOT)
    if await process.wait() not in accepted:
        raise SystemExit(f"drill: failed: {' '.join(map(str, command))}")


async def _drill(options: Any) -> None:
    environment = _compose if options.compose else _local
    for name in options.phases or PHASES:
        phase = PHASES[name]
        sys.stdout.write(f"\n{name}: {phase}, {options.seconds} s\n")
        sys.stdout.flush()
        async with environment(phase, options):
            await _run(
                *(_COMMAND, "loadtest", "--url", f"http://127.0.0.1:{options.port}"),
                *("--duration", f"{options.seconds}s", "--clients", str(phase.clients)),
                accepted=(0, 1) if phase.error_rate else (0,),
            )


def main() -> None:
    """Run the phases given on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m deploy.drill", description=__doc__)
    parser.add_argument(
        "phases", nargs="*", metavar="phase", help=f"One of {', '.join(PHASES)}. Default: all."
    )
    parser.add_argument("--seconds", type=int, default=120, help="Duration of each phase in seconds.")
    parser.add_argument("--compose", action="store_true", help="Use the service of `docker compose`.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--ops-port", type=int, default=9000)
    options = parser.parse_args()
    if unknown := set(options.phases) - set(PHASES):
        parser.error(f"unknown phase: {', '.join(sorted(unknown))}")
    asyncio.run(_drill(options))


if __name__ == "__main__":
    main()
