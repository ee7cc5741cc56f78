"""Makes load, failures and latency on demand, so that boards and alerts can be seen to move: `make drill`."""

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
    """What the service and its users do for a while.

    `error_rate` is the share of requests that fail, 0 to 1; `clients` send one request after the other.
    """

    error_rate: float
    latency_seconds: float
    clients: int

    def environment(self) -> dict[str, str]:
        """Return what makes a service behave so; faults exist in development only."""
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
"""By the name to ask for them."""


@contextlib.asynccontextmanager
async def _local(phase: Phase, options: Any) -> AsyncIterator[None]:
    """Run a service of its own; its metrics are on the ops port."""
    own = {"PORT": str(options.port), "OPS_PORT": str(options.ops_port), "WORKERS": "2"}
    process = await create_subprocess_exec(
        _COMMAND, "serve", env=os.environ | own | phase.environment(), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient() as client:
            while not await _is_ready(client, f"http://127.0.0.1:{options.ops_port}/readyz"):
                if process.returncode is not None:
                    raise SystemExit("drill: the service ended; its words are above")
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
async def _compose(phase: Phase, options: Any) -> AsyncIterator[None]:  # noqa: ARG001 - as _local
    """Have compose's own service behave so, and well again at the end."""
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
    place = _compose if options.compose else _local
    for name in options.phases or PHASES:
        phase = PHASES[name]
        sys.stdout.write(f"\n{name}: {phase}, {options.seconds} s\n")
        sys.stdout.flush()
        async with place(phase, options):
            await _run(
                *(_COMMAND, "loadtest", "--url", f"http://127.0.0.1:{options.port}"),
                *("--duration", f"{options.seconds}s", "--clients", str(phase.clients)),
                accepted=(0, 1) if phase.error_rate else (0,),
            )


def main() -> None:
    """Go through the phases that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m deploy.drill", description=__doc__)
    parser.add_argument("phases", nargs="*", metavar="phase", help=f"Of {', '.join(PHASES)}. Default: all.")
    parser.add_argument("--seconds", type=int, default=120, help="Of each phase.")
    parser.add_argument("--compose", action="store_true", help="Use the service that `docker compose` runs.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--ops-port", type=int, default=9000)
    options = parser.parse_args()
    if unknown := set(options.phases) - set(PHASES):
        parser.error(f"no such phase: {', '.join(sorted(unknown))}")
    asyncio.run(_drill(options))


if __name__ == "__main__":
    main()
