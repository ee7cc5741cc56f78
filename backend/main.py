"""The wiring diagram: settings in, application out."""

import contextlib
from collections.abc import AsyncIterator
from http import HTTPMethod

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from backend.api import openapi, problems
from backend.api.middleware.body_limit import BodyLimitMiddleware
from backend.api.middleware.jwt_auth import JwtAuthMiddleware
from backend.api.middleware.request_id import RequestIdMiddleware
from backend.api.middleware.unexpected import UnexpectedErrorMiddleware
from backend.api.routers import tasks
from backend.auth.tokens import TokenVerifier
from backend.config import ConfigurationError, Settings, load_settings
from backend.db.embedded import embedded_postgres
from backend.db.pool import Database
from backend.db.schema import migrate
from backend.db.task_repository import TaskRepository
from backend.services.task_service import TaskService

__all__ = ["create_app"]


def create_app(settings: Settings) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        settings: What it is built from; the environment is not read again.
    """
    verifier = TokenVerifier(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            url = None
            if settings.uses_embedded_database:
                url = await stack.enter_async_context(embedded_postgres(settings.data_dir))
                await migrate(url)
            app.state.database = Database(settings, url)
            await app.state.database.start()
            stack.push_async_callback(app.state.database.stop)
            await verifier.start()
            stack.push_async_callback(verifier.stop)
            app.state.task_service = TaskService(TaskRepository(app.state.database))
            yield

    app = FastAPIOffline(
        redoc_url=None,
        title="Task service",
        version=openapi.version(),
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
        # The first is the outermost.
        middleware=[
            Middleware(RequestIdMiddleware),
            Middleware(
                CORSMiddleware,
                allow_origins=settings.allowed_origins,
                allow_credentials=True,
                allow_methods=[*HTTPMethod],
                allow_headers=openapi.REQUEST_HEADERS,
                expose_headers=openapi.RESPONSE_HEADERS,
            ),
            Middleware(UnexpectedErrorMiddleware),
            Middleware(
                BodyLimitMiddleware,
                max_bytes=settings.max_body_bytes,
                timeout_seconds=settings.body_timeout_seconds,
            ),
            Middleware(JwtAuthMiddleware, verifier=verifier),
        ],
    )
    app.state.settings = settings
    app.include_router(tasks.router)
    problems.install(app)
    openapi.install(app)
    return app


def __getattr__(name: str) -> FastAPI:
    """Make `app` when a server asks for it, so that importing this module reads no environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(load_settings())
    except ConfigurationError as error:
        raise SystemExit(f"task-service: {error}") from None
