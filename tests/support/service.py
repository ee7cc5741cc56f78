"""The service behind a real socket, and clients of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from backend.config import Settings
from backend.devtools.development_token import make_token
from backend.main import create_app
from backend.platform.server.http_protocol import BoundedHttpProtocol
from tests.support.database import POOLER
from tests.support.waiting import scaled, stretched

__all__ = ["SECRET", "RunningService", "User", "running_service", "service_settings"]

SECRET = "only-for-tests-" + "0123456789abcdef" * 2


def service_settings(database_url: str, **overrides: Any) -> Settings:
    """Return settings that read nothing from the environment."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "database_pooler": POOLER,
        "better_auth_secret": SECRET,
        "database_pool_prewarm_size": 0,
        "database_pool_max_size": 8,
        # A slow machine must not reach the limits for overload.
        "database_pool_acquire_timeout_seconds": min(60, stretched(1.5)),
        "max_concurrent_requests_per_user": 100,
    }
    return Settings(**(values | overrides))


@dataclass(frozen=True)
class RunningService:
    """A service that listens on `url`."""

    url: str
    app: FastAPI
    settings: Settings

    def token(self, user_id: str, *, lifetime_seconds: int = 3600) -> str:
        """Return a token of this user."""
        return make_token(self.settings, user_id, lifetime_seconds=lifetime_seconds)

    @contextlib.asynccontextmanager
    async def user(self, user_id: str | None = None, **options: Any) -> AsyncIterator["User"]:
        """Open a client that calls as a user, a new one unless it is named."""
        user_id = user_id or f"user-{uuid4().hex}"
        headers = {"Authorization": f"Bearer {self.token(user_id)}"}
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=scaled(30), **options
        ) as client:
            yield User(user_id, client)


@dataclass(frozen=True)
class User:
    """A user with a token, and the path of the user's tasks."""

    id: str
    client: httpx.AsyncClient
    tasks: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", f"/api/{self.id}/tasks")

    async def create(self, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
        """Create a task and return it."""
        answer = await self.client.post(self.tasks, json={"title": title, **fields})
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()
        return task

    async def list(self, **query: Any) -> dict[str, Any]:
        """Return one page."""
        answer = await self.client.get(self.tasks, params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    async def request(
        self, method: str, path: str = "", headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request to a path below the user's tasks."""
        return await self.client.request(method, self.tasks + path, headers=headers, **options)


@contextlib.asynccontextmanager
async def running_service(
    settings: Settings, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app, root_path: str = ""
) -> AsyncIterator[RunningService]:
    """Serve over a real socket on a free port, in this event loop, and stop it at the end.

    Args:
        settings: Of the service.
        wrap: Returns the application that is served, given the service.
        root_path: As `uvicorn --root-path` takes it.
    """
    app = create_app(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                wrap(app),
                http=BoundedHttpProtocol,
                log_config=None,
                access_log=False,
                root_path=root_path,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=round(scaled(5)),
            )
        )
        # A test ends its service itself; the signals are pytest's.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                if serving.done():
                    await serving
                    raise RuntimeError("the service did not start")
                await asyncio.sleep(0.005)
            yield RunningService(f"http://127.0.0.1:{listener.getsockname()[1]}", app, settings)
        finally:
            server.should_exit = True
            await serving
