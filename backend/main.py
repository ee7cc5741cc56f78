"""The wiring diagram: settings in, application out."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from backend.api import openapi
from backend.api.errors import STATUS_BY_ERROR
from backend.api.routers import tasks
from backend.config import Settings, load_settings
from backend.db.schema import SCHEMA
from backend.db.task_repository import TaskRepository
from backend.db.user_repository import UserRepository
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import ConfigurationError, exit_with
from backend.platform.http import health, metrics_endpoint
from backend.platform.http.middleware.head import HeadMiddleware
from backend.platform.http.middleware.request_id import RequestIdMiddleware
from backend.platform.http.middleware.stack import middleware
from backend.platform.http.problem_details import register_exception_handlers
from backend.platform.http.readiness import Readiness
from backend.platform.observability.logging import configure_logging
from backend.platform.observability.runtime_metrics import collect_runtime_metrics
from backend.platform.observability.tracing import configure_tracing
from backend.platform.postgres.database import Database
from backend.platform.postgres.dsn import check_dsns
from backend.platform.postgres.schema_probe import pool_state
from backend.platform.server.drain import Drain, drain_marker_path
from backend.platform.server.event_loop import install_exception_handler
from backend.services.task_service import TaskService

__all__ = ["create_app"]

_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own, off: ours are made by TraceMiddleware and RequestMetricsMiddleware."""


def create_app(settings: Settings) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        settings: What it is built from; of the environment only libpq's variables are read beside them.
    """
    check_dsns(settings)
    verifier = TokenVerifier(settings)
    drain = Drain(drain_marker_path(settings.run_dir))
    ops = _ops_app()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        install_exception_handler()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(configure_tracing(settings))
            app.state.database = await stack.enter_async_context(_running_database(settings))
            await verifier.start()
            stack.push_async_callback(verifier.stop)
            users = UserRepository(app.state.database, settings.users_table_owner)
            app.state.task_service = TaskService(TaskRepository(app.state.database), users)
            may_write = settings.may_write_users
            readiness = Readiness(app.state.database, SCHEMA, drain, settings, may_write_users=may_write)
            app.state.readiness = ops.state.readiness = readiness
            await stack.enter_async_context(drain.watching())
            await stack.enter_async_context(collect_runtime_metrics(lambda: pool_state(app.state.database)))
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
    app.state.inject_fault = _fault_injection(settings)
    # First, and not included: FastAPI would match each request twice, behind the pages of the docs.
    app.router.routes[:0] = tasks.router.routes
    app.include_router(health.public)
    if settings.ops_port is None:
        app.include_router(health.probes)
        app.include_router(metrics_endpoint.router)
    register_exception_handlers(app, STATUS_BY_ERROR)
    openapi.install(app)
    return app


@contextlib.asynccontextmanager
async def _running_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield a started pool: of the embedded PostgreSQL, migrated, where the settings name no other."""
    async with contextlib.AsyncExitStack() as stack:
        url = None
        if settings.uses_embedded_database:
            from backend.devtools.embedded_postgres import migrated_postgres  # noqa: PLC0415 - optional

            url = await stack.enter_async_context(migrated_postgres(settings.data_dir, SCHEMA))
        database = Database(settings, url)
        await database.start()
        stack.push_async_callback(database.stop)
        yield database


def _fault_injection(settings: Settings) -> Callable[[], Awaitable[None]] | None:
    """Return what delays or fails a request in development, None where the settings ask for neither."""
    if not settings.injects_faults:
        return None
    from backend.devtools.fault_injection import FaultInjector  # noqa: PLC0415 - optional

    return FaultInjector(settings.fault_error_rate, settings.fault_latency_seconds).inject


def _ops_app() -> FastAPI:
    """Return what answers on the ops port."""
    app = FastAPI(openapi_url=None, middleware=[Middleware(RequestIdMiddleware), Middleware(HeadMiddleware)])
    app.include_router(health.public)
    app.include_router(health.probes)
    app.include_router(metrics_endpoint.router)
    register_exception_handlers(app, {})
    return app


def __getattr__(name: str) -> FastAPI:
    """Make `app` when a server asks for it, so that importing this module reads no environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure_logging(settings)
        if settings.uses_embedded_database:
            from backend.devtools.cluster_layout import prepare_layout  # noqa: PLC0415 - optional

            prepare_layout(settings.data_dir)  # in the lifespan, a server would report it by a traceback
        return create_app(settings)
    except ConfigurationError as error:
        exit_with(error)
