"""The frontend in Node, built once, and browsers' view of it: pages, boot data, sessions."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.full_stack import SERVER, build
from tests.support.waiting import scaled, timeout

__all__ = [
    "PASSWORD",
    "SECRET",
    "Account",
    "Frontend",
    "database_name",
    "free_port",
    "frontend_environment",
    "run_frontend",
    "running_frontend",
]

SECRET = "a-secret-of-the-frontend-with-32-or-more-characters"
PASSWORD = "a long password"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Account:
    """A user who is signed in, and their session."""

    id: str
    email: str
    client: httpx.AsyncClient

    async def boot(self) -> dict[str, Any]:
        """Return the data of the session that the page has."""
        return boot_of(await self.client.get("/"))

    async def post(self, endpoint: str, body: dict[str, Any]) -> httpx.Response:
        return await self.client.post(f"/api/auth/{endpoint}", json=body)


def boot_of(page: httpx.Response) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="boot">(.*?)</script>', page.text)
    assert found is not None, page.text
    boot: dict[str, Any] = json.loads(found[1])
    return boot


@dataclass
class Frontend:
    """A running server of the frontend."""

    url: str
    ops_url: str
    process: asyncio.subprocess.Process
    logs: list[dict[str, Any]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def client(self, address: str = "198.51.100.1") -> AsyncIterator[httpx.AsyncClient]:
        """Open a browser of its own, whose address the trusted proxy (the test) reports."""
        headers = {"Origin": self.url, "X-Forwarded-For": address}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=scaled(30)) as client:
            yield client

    @contextlib.asynccontextmanager
    async def sign_up(self, name: str = "Ada", address: str = "198.51.100.1") -> AsyncIterator[Account]:
        async with self.client(address) as client:
            body = {"name": name, "email": f"{name.lower()}@example.com", "password": PASSWORD}
            answer = await client.post("/api/auth/sign-up/email", json=body)
            assert answer.status_code == 200, answer.text
            yield Account(answer.json()["user"]["id"], body["email"], client)

    async def probe(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.ops_url, timeout=scaled(10)) as client:
            return await client.get(path)

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with timeout(30):
            return await self.process.wait()


async def frontend_environment(database_url: str, port: int, settings: dict[str, str]) -> dict[str, str]:
    """Return the variables of a frontend; build it first if it is not."""
    if shutil.which("npm") is None:
        reason = "node and npm are not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    environment = await build()
    return {
        **environment,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "TRUSTED_PROXIES": "127.0.0.1",
        "PORT": str(port),
        "OPS_PORT": "0",
        "DRAIN_SECONDS": "0",
        **settings,
    }


async def run_frontend(
    database_url: str, *arguments: str, port: int = 3000, **settings: str
) -> tuple[int | None, str, str]:
    """Run a command of the frontend to its end; return its exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(SERVER), *arguments),
        env=await frontend_environment(database_url, port, settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with timeout(60):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@contextlib.asynccontextmanager
async def running_frontend(
    database_url: str, *, port: int = 0, migrated: bool = True, **settings: str
) -> AsyncIterator[Frontend]:
    """Serve the frontend on this database.

    Args:
        database_url: Shared with the service.
        port: Its port; 0 selects a free one.
        migrated: Whether to run its migration first.
        settings: Environment variables of the server.
    """
    port = port or free_port()
    if migrated:
        code, output, errors = await run_frontend(database_url, "migrate", port=port, **settings)
        assert code == 0, output + errors
    process = await asyncio.create_subprocess_exec(
        *("node", str(SERVER)),
        env=await frontend_environment(database_url, port, settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    frontend = Frontend(f"http://127.0.0.1:{port}", "", process)
    reading: asyncio.Task[None] | None = None
    try:
        async with timeout(60):
            while not frontend.ops_url:
                line = await process.stdout.readline()
                assert line, "the frontend did not start"
                frontend.logs.append(json.loads(line))
                if frontend.logs[-1]["event"] == "serving":
                    frontend.ops_url = f"http://127.0.0.1:{frontend.logs[-1]['ops_port']}"
        reading = asyncio.create_task(_read(process.stdout, frontend.logs))
        yield frontend
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _read(stream: asyncio.StreamReader, logs: list[dict[str, Any]]) -> None:
    async for line in stream:
        logs.append(json.loads(line))  # noqa: PERF401 - the test reads them meanwhile


def database_name(url: str) -> str:
    return urlsplit(url).path[1:]
