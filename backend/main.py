"""The wiring diagram: settings in, application out."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from backend.api import openapi, problems
from backend.api.faults import FaultInjector
from backend.api.middleware.chain import middleware
from backend.api.middleware.head import HeadMiddleware
from backend.api.middleware.request_id import RequestIdMiddleware
from backend.api.readiness import Readiness
from backend.api.routers import health, metrics, tasks
from backend.auth.tokens import TokenVerifier
from backend.config import ConfigurationError, Settings, load_settings
from backend.db.address import check_addresses
from backend.db.database import Database
from backend.db.embedded import embedded_postgres
from backend.db.embedded_place import prepare_place
from backend.db.schema_probe import pool_state
from backend.db.task_repository import TaskRepository
from backend.db.user_repository import UserRepository
from backend.environment import exit_with
from backend.observability.logging import configure_logging
from backend.observability.sampler import sampling
from backend.observability.tracing import configure_tracing
from backend.process.drain import Drain, drain_file
from backend.services.task_service import TaskService

__all__ = ["create_app"]

_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own, off: ours are made by TraceMiddleware and MeasureMiddleware."""


def create_app(settings: Settings) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        settings: What it is built from; of the environment only libpq's variables are read beside them.
    """
    check_addresses(settings)
    verifier = TokenVerifier(settings)
    drain = Drain(drain_file(settings.run_dir))
    ops = _ops_app()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(configure_tracing(settings))
            url = await stack.enter_async_context(_embedded_database(settings))
            app.state.database = Database(settings, url)
            await app.state.database.start()
            stack.push_async_callback(app.state.database.stop)
            await verifier.start()
            stack.push_async_callback(verifier.stop)
            users = UserRepository(app.state.database, settings.users_table_owner)
            app.state.task_service = TaskService(TaskRepository(app.state.database), users)
            app.state.readiness = ops.state.readiness = Readiness(app.state.database, drain, settings)
            await stack.enter_async_context(drain.watching())
            await stack.enter_async_context(sampling(lambda: pool_state(app.state.database)))
            yield

    app = FastAPIOffline(
        redoc_url=None,
        title="Task service",
        version=openapi.version(),
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_TELEMETRY,
        middleware=middleware(settings, verifier, drain, ops),
    )
    app.state.settings = settings
    app.state.faults = FaultInjector(settings.fault_error_rate, settings.fault_latency_seconds)
    # First, and not included: FastAPI would match each request twice, behind the pages of the docs.
    app.router.routes[:0] = tasks.router.routes
    app.include_router(health.public)
    if settings.ops_port is None:
        app.include_router(health.probes)
        app.include_router(metrics.router)
    problems.install(app)
    openapi.install(app)
    return app


@contextlib.asynccontextmanager
async def _embedded_database(settings: Settings) -> AsyncIterator[str | None]:
    """Yield the address of a PostgreSQL of our own, migrated; None where the settings name another."""
    if not settings.uses_embedded_database:
        yield None
        return
    from backend.db.migration import migrate  # noqa: PLC0415 - Alembic: 9 MiB that a worker has no use for

    async with embedded_postgres(settings.data_dir) as url:
        await migrate(url)
        yield url


def _ops_app() -> FastAPI:
    """Return what answers on the ops port."""
    app = FastAPI(openapi_url=None, middleware=[Middleware(RequestIdMiddleware), Middleware(HeadMiddleware)])
    app.include_router(health.public)
    app.include_router(health.probes)
    app.include_router(metrics.router)
    problems.install(app)
    return app


def __getattr__(name: str) -> FastAPI:
    """Make `app` when a server asks for it, so that importing this module reads no environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure_logging(settings)
        if settings.uses_embedded_database:
            prepare_place(settings.data_dir)  # in the lifespan, a server would report it by a traceback
        return create_app(settings)
    except ConfigurationError as error:
        exit_with(error)
