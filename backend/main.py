"""The composition root: creates the application from its settings."""

from backend.platform.observability import otel_variables  # noqa: F401 - before FastAPI, which reads OTEL_PROPAGATORS

# isort: split

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib import metadata

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.datastructures import State
from starlette.middleware import Middleware

from backend.api.errors import STATUS_BY_ERROR
from backend.api.routers import calendar, task_batches, tasks
from backend.config import Settings, load_settings
from backend.db.schema import SCHEMA
from backend.db.task_repository import TaskRepository
from backend.db.user_repository import UserRepository
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import ConfigurationError, exit_with
from backend.platform.http import fast_route, health, metrics_endpoint, openapi_document
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
from backend.platform.postgres.idempotency import IdempotencyStore
from backend.platform.postgres.schema_probe import pool_state
from backend.platform.server.drain import Drain, drain_marker_path
from backend.platform.server.event_loop import install_exception_handler
from backend.services.task_batch_service import TaskBatchService
from backend.services.task_service import TaskService

__all__ = ["create_app"]

_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's telemetry is off: TraceMiddleware and RequestMetricsMiddleware replace it."""

_DESCRIPTION = """The tasks of one user at a time, kept in PostgreSQL.

Send the token of your Better Auth frontend as `Authorization: Bearer <token>`; its `sub` is the
`{user_id}` of every path. Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem."""

ROUTERS = (calendar.router, task_batches.router, tasks.router, task_batches.tags_router)


def _add_services(state: State, database: Database, settings: Settings) -> None:
    """Create the services of the routers, under the names that `dependencies.service` reads."""
    users = UserRepository(database, settings.users_table_owner)
    idempotency = IdempotencyStore(database)
    repository = TaskRepository(database)
    state.task_service = TaskService(repository, users, idempotency)
    state.task_batch_service = TaskBatchService(repository, users, idempotency)


def create_app(settings: Settings, routers: Iterable[APIRouter] = ROUTERS) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        settings: The settings. No other configuration is read, except libpq's environment variables.
        routers: The routers of the resources.
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
            _add_services(app.state, app.state.database, settings)
            may_write = settings.may_write_users
            readiness = Readiness(app.state.database, SCHEMA, drain, settings, may_write_users=may_write)
            app.state.readiness = ops.state.readiness = readiness
            await stack.enter_async_context(drain.watching())
            await stack.enter_async_context(collect_runtime_metrics(lambda: pool_state(app.state.database)))
            yield

    app = FastAPIOffline(
        redoc_url=None,
        title="Task service",
        version=metadata.version("task-service"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_TELEMETRY,
        middleware=middleware(settings, verifier, drain, ops),
    )
    app.state.inject_fault = _fault_injection(settings)
    for router in routers:
        app.include_router(router)
    app.include_router(health.public)
    if settings.ops_port is None:
        app.include_router(health.probes)
        app.include_router(metrics_endpoint.router)
    register_exception_handlers(app, STATUS_BY_ERROR)
    openapi_document.install(app)
    fast_route.install(app)
    return app


@contextlib.asynccontextmanager
async def _running_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield a started pool, of the migrated embedded PostgreSQL if the settings name no database."""
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
    """Return the function that delays or fails requests in development; None if it is not configured."""
    if not settings.injects_faults:
        return None
    from backend.devtools.fault_injection import FaultInjector  # noqa: PLC0415 - optional

    return FaultInjector(settings.fault_error_rate, settings.fault_latency_seconds).inject


def _ops_app() -> FastAPI:
    """Return the application of the ops port."""
    app = FastAPI(openapi_url=None, middleware=[Middleware(RequestIdMiddleware), Middleware(HeadMiddleware)])
    app.include_router(health.public)
    app.include_router(health.probes)
    app.include_router(metrics_endpoint.router)
    register_exception_handlers(app, {})
    return app


def __getattr__(name: str) -> FastAPI:
    """Create `app` on first access by a server, so that the import of this module reads no environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure_logging(settings)
        if settings.uses_embedded_database:
            from backend.devtools.cluster_layout import prepare_layout  # noqa: PLC0415 - optional

            prepare_layout(settings.data_dir)  # in the lifespan an error would be a traceback
        return create_app(settings)
    except ConfigurationError as error:
        exit_with(error)
