"""`task-service dev`: one uvicorn process, with an embedded PostgreSQL unless DATABASE_URL is set."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import override

import typer
import uvicorn
from uvicorn.supervisors import ChangeReload

from backend.config import Settings
from backend.db.schema import SCHEMA
from backend.devtools.banner import banner
from backend.devtools.embedded_postgres import running_embedded_postgres
from backend.main import create_app
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.observability.logging import configure_logging
from backend.platform.postgres.dsn import check_dsns, migration_parameters
from backend.platform.postgres.rollout import migrate_with_retry
from backend.platform.server.http_protocol import BoundedHttpProtocol
from backend.platform.server.listener import PortTaken, open_listener

__all__ = ["serve", "serve_with_reload"]

_PACKAGE = Path(__file__).parents[1]
_SHUTDOWN_SECONDS = 2


def serve(settings: Settings, port: int | None) -> None:
    """Migrate, serve, and print a request to try; Ctrl-C stops the service and the embedded PostgreSQL.

    Args:
        settings: Settings with ENVIRONMENT=development.
        port: 0 to 65535. None means PORT, or a free port if PORT is in use.

    Raises:
        ConfigurationError: The port is in use, or the database must be corrected.
        MigrationFailed, SchemaWaitTimeout: See `migrate_with_retry`.
        typer.Exit: The server did not start.
    """
    check_dsns(settings)
    requested_port = settings.port if port is None else port
    with (
        _listen(settings.host, requested_port, strict=port is not None) as listener,
        _database(settings),
    ):
        application = create_app(settings)
        if not settings.uses_embedded_database:
            parameters = migration_parameters(settings)
            asyncio.run(
                migrate_with_retry(parameters, SCHEMA, revision="head", timeout_seconds=0, report=typer.echo)
            )
        config = uvicorn.Config(
            application, http=BoundedHttpProtocol, log_level=settings.log_level.lower(), access_log=False
        )
        server = _DevelopmentServer(config, banner(settings, listener.getsockname()[1]))
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        if not server.started:
            raise typer.Exit(1)


def serve_with_reload(settings: Settings, debug_port: int | None) -> None:
    """Serve on PORT and OPS_PORT, and restart when a file of the package changes.

    The listening sockets stay open during a restart, so new connections wait instead of being refused.

    Args:
        settings: Settings with ENVIRONMENT=development.
        debug_port: Port that a debugger can attach to (debugpy), 1 to 65535; None opens none.

    Raises:
        ConfigurationError: A setting is invalid, or a port is in use.
    """
    check_dsns(settings)
    configure_logging(settings)
    config = uvicorn.Config(
        "backend.main:app",
        reload=True,
        reload_dirs=[str(_PACKAGE)],
        http=BoundedHttpProtocol,
        ws="none",
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    ports = [settings.port] if settings.ops_port is None else [settings.port, settings.ops_port]
    # Reports invalid settings here: the reloader would restart a failing child again and again.
    TokenVerifier(settings)
    sockets = [open_listener(settings.host, port) for port in ports]
    with _database(settings):
        target = partial(_run_child, config, settings.host, debug_port)
        ChangeReload(config, target=target, sockets=sockets).run()


class _DevelopmentServer(uvicorn.Server):
    """Prints the banner when the service accepts requests."""

    def __init__(self, config: uvicorn.Config, banner: str) -> None:
        super().__init__(config)
        self._banner = banner

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            typer.echo(self._banner)


def _run_child(
    config: uvicorn.Config, host: str, debug_port: int | None, sockets: list[socket.socket]
) -> None:
    if debug_port is not None:
        import debugpy  # noqa: PLC0415, T100 - an option; not in the production image

        debugpy.listen((host, debug_port))  # noqa: T100 - an option
    uvicorn.Server(config).run(sockets)


def _database(settings: Settings) -> AbstractContextManager[object]:
    if settings.uses_embedded_database:
        return running_embedded_postgres(settings.data_dir)
    return nullcontext()


@contextmanager
def _listen(host: str, port: int, *, strict: bool) -> Iterator[socket.socket]:
    """Listen on the port, or on a free port if it is in use and `strict` is false."""
    try:
        listener = open_listener(host, port)
    except PortTaken:
        if strict:
            raise
        listener = open_listener(host, 0)
        typer.echo(f"Port {port} is taken; the service listens on {listener.getsockname()[1]} instead.")
    with listener:
        yield listener
