"""Starts `task-service` in odd surroundings: it either serves, or ends with one sentence and exit code 2."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from backend.platform.server.listener import local_url
from tests.support.waiting import poll_until, scaled
from tests.support.workers import free_port

__all__ = ["COMMAND", "Outcome", "start_and_stop"]

COMMAND = Path(sys.executable).with_name("task-service")
_START_SECONDS = 100


@dataclass(frozen=True)
class Outcome:
    """How a start ended.

    Attributes:
        serves: It answered a request.
        sentence: What it said on standard error where it did not serve.
        output: All that it wrote.
    """

    serves: bool
    sentence: str
    output: str


async def start_and_stop(folder: Path, *command: str, **variables: str) -> Outcome:
    """Run a command that serves until it answers or ends, and stop it.

    Args:
        folder: The working directory.
        command: Such as `dev` or `serve`.
        variables: Of the environment.
    """
    environment: dict[str, str] = {"PORT": str(free_port()), **os.environ, **variables}
    environment.pop("DATA_DIR", None)
    environment |= {name: value for name, value in variables.items() if name == "DATA_DIR"}
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    reading = asyncio.create_task(process.communicate())
    url = local_url(str(environment.get("HOST") or "127.0.0.1").strip("[]"), int(environment["PORT"]))
    serves = False
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=scaled(5)) as client:

            async def serves_or_ended() -> bool:
                nonlocal serves
                asking = asyncio.create_task(client.get(f"{url}/health"))
                # Until the process ends as well: the address may never respond.
                await asyncio.wait({asking, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    asking.cancel()
                    return True
                with contextlib.suppress(httpx.TransportError):
                    serves = asking.result().status_code == 200
                return serves or reading.done()

            await poll_until(serves_or_ended, _START_SECONDS, what=f"{command} serves or ends")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        stdout, stderr = (
            part.decode(errors="replace") for part in await asyncio.wait_for(reading, scaled(60))
        )
    assert "Traceback" not in stdout + stderr, stdout + stderr
    if not serves:
        assert process.returncode == 2, stdout + stderr
        assert stderr.splitlines()[-1].startswith("task-service: "), stderr
    return Outcome(serves=serves, sentence="" if serves else stderr.splitlines()[-1], output=stdout + stderr)
