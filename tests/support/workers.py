"""The service as it runs in production, with workers under Gunicorn."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from backend.config import Settings
from backend.devtools.development_token import make_token
from tests.support.failure_report import log_files
from tests.support.service import SECRET
from tests.support.waiting import poll_until, scaled

__all__ = ["OPEN_METRICS", "Workers", "free_port", "run_workers"]

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
_START_SECONDS = 40
_SERVE = (str(Path(sys.executable).with_name("task-service")), "serve")
_GUNICORN = (
    sys.executable,
    *("-m", "gunicorn", "--config", "python:backend.platform.server.gunicorn_conf", "backend.main:app"),
)


_given: set[int] = set()


def free_port() -> int:
    """Return an unused port, a different one each time."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


@dataclass
class Workers:
    """A running master and its workers."""

    process: asyncio.subprocess.Process
    port: int
    ops_port: int
    run_dir: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.ops_port}"

    def authorization(self, user: str) -> dict[str, str]:
        """Return the header of a user's token."""
        token = make_token(Settings(better_auth_secret=SECRET), user, lifetime_seconds=3600)
        return {"Authorization": f"Bearer {token}"}

    def lines(self) -> list[dict[str, Any]]:
        """Return the log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def children(self) -> list[int]:
        """Return the process ids of the workers."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in pids]

    async def scrape(self, accept: str = OPEN_METRICS) -> list[Sample]:
        """Return every sample."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(
                f"{self.ops_url}/metrics", headers={"Accept": accept}, timeout=scaled(60)
            )
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        return [sample for family in families for sample in family.samples]

    async def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        return sum(
            sample.value
            for sample in await self.scrape()
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), scaled(60))


@contextlib.asynccontextmanager
async def run_workers(
    folder: Path, database_url: str, *, through_command: bool = False, **settings: object
) -> AsyncIterator[Workers]:
    """Run the service under Gunicorn until the block ends.

    Args:
        folder: An existing one, for its log and the files that workers share.
        database_url: Migrated.
        through_command: By `task-service serve`, which checks first and takes three seconds longer.
        settings: By their names in the environment, in lower case.
    """
    port, ops_port = free_port(), free_port()
    environment = {
        **os.environ,
        "ENVIRONMENT": "production",
        "DATABASE_URL": database_url,
        "DATABASE_POOL_PREWARM_SIZE": "0",
        "DATABASE_POOL_MAX_SIZE": "8",
        "BETTER_AUTH_SECRET": SECRET,
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
        "RUN_DIR": str(folder / "run"),
        **{name.upper(): str(value) for name, value in settings.items()},
    }
    log = folder / "log"
    log_files.add(log)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(_SERVE if through_command else _GUNICORN),
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    workers = Workers(process, port, ops_port, folder / "run", log)
    try:
        await _until_ready(workers, settings.get("workers", 1))
        yield workers
    finally:
        await workers.stop()


async def _until_ready(workers: Workers, count: object) -> None:
    async with httpx.AsyncClient(timeout=scaled(5)) as client:

        async def is_ready() -> bool:
            assert workers.process.returncode is None, workers.log.read_text()
            ready = await client.get(f"{workers.ops_url}/readyz")
            return ready.status_code == 200 and await workers.value("gunicorn_workers") == count

        await poll_until(
            is_ready, _START_SECONDS, what=f"{count} workers are ready", retried=(httpx.TransportError,)
        )
