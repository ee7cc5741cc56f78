"""Baseline: routes, service and data layer of the service, without tokens, middleware, request metrics, log and spans."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.routers import tasks
from backend.config import load_settings
from backend.db.task_repository import TaskRepository
from backend.db.user_repository import UserRepository
from backend.platform.auth.principal import Principal
from backend.platform.http import fast_route, problem_details
from backend.platform.postgres.database import Database
from backend.platform.postgres.idempotency import IdempotencyStore
from backend.services.task_service import TaskService

__all__ = ["app"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool while the application runs."""
    settings = load_settings()
    database = Database(settings)
    await database.start()
    app.state.task_service = TaskService(
        TaskRepository(database),
        UserRepository(database, settings.users_table_owner),
        IdempotencyStore(database),
    )
    yield
    await database.stop()


class TrustPathMiddleware:
    """Sets the principal to the user in the path, without a token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            scope["state"]["principal"] = Principal(scope["path"].split("/")[2])
        await self._app(scope, receive, send)


# The principal is set by a middleware, because fast routes do not support dependency overrides.
app = FastAPI(lifespan=lifespan, middleware=[Middleware(TrustPathMiddleware)])
app.include_router(tasks.router)
fast_route.install(app)
app.state.inject_fault = None
problem_details.register_exception_handlers(app, {})
