"""`task-service`: what people and machines run."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from typing import Annotated, override

import typer
import uvicorn

from backend.auth.development_token import make_token
from backend.commands.banner import banner
from backend.commands.config import config
from backend.commands.duration import parse_duration
from backend.commands.loadtest import loadtest
from backend.commands.reload import reload
from backend.commands.seed import seed
from backend.config import (
    ConfigurationError,
    DatabaseSettings,
    Settings,
    load_database_settings,
    load_settings,
)
from backend.db.address import check_addresses, migration_parameters, parse_address, service_parameters
from backend.db.embedded import embedded_postgres, running_embedded_postgres
from backend.db.rollout import MigrationFailed, WaitedInVain, migrate_patiently, wait_until_migrated
from backend.db.schema import SchemaState
from backend.db.schema_probe import probe_schema_at
from backend.main import create_app
from backend.observability.otel_variables import IGNORED_AT_IMPORT
from backend.process.listener import PortTaken, check_address, open_listener
from backend.process.protocol import BoundedHttpProtocol

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A task service on PostgreSQL.")
app.command()(config)
app.command()(seed)
app.command()(loadtest)
app.command()(reload)


class _DevelopmentServer(uvicorn.Server):
    """Says how to call the service, once it can be called."""

    def __init__(self, config: uvicorn.Config, banner: str) -> None:
        super().__init__(config)
        self._banner = banner

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            typer.echo(self._banner)


@app.command()
def dev(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Default: PORT, or a free one if it is taken.")
    ] = None,
) -> None:
    """Run the service for development: migrate, serve, and print a ready curl. Ctrl-C stops it all."""
    settings = load_settings()
    if settings.environment != "development":
        raise ConfigurationError(
            "`task-service dev` is for ENVIRONMENT=development; use `task-service serve`"
        )
    wanted = settings.port if port is None else port
    with (
        _listen(settings.host, wanted, strict=port is not None) as listener,
        running_embedded_postgres(settings.data_dir) if settings.uses_embedded_database else nullcontext(),
    ):
        bound_port = listener.getsockname()[1]
        application = create_app(settings)
        if not settings.uses_embedded_database:
            asyncio.run(_migrate(settings, "head", patience=0))
        config = uvicorn.Config(
            application, http=BoundedHttpProtocol, log_level=settings.log_level.lower(), access_log=False
        )
        server = _DevelopmentServer(config, banner(settings, bound_port))
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it is meant to end
            server.run(sockets=[listener])
        if not server.started:
            raise typer.Exit(1)


@app.command()
def serve() -> None:
    """Run the service for production: workers under Gunicorn. Migrate first; SIGTERM ends it."""
    settings = load_settings()
    check_addresses(settings)
    for port in (settings.port, settings.ops_port):
        if port is not None:
            check_address(settings.host, port)
    if settings.uses_embedded_database:
        with running_embedded_postgres(settings.data_dir):
            pass  # what is wrong with it is seen here; the workers start it again
    else:
        schema = asyncio.run(probe_schema_at(settings))
        if schema and schema.defect:
            raise ConfigurationError(schema.defect)
        if schema and schema.state is SchemaState.BEHIND:
            raise ConfigurationError("the database's schema is behind: run `task-service migrate` first")
        if schema is None:  # its requests answer 503 until it is there
            typer.echo("task-service: the database does not answer yet", err=True)
    for variable, reason in IGNORED_AT_IMPORT:  # the new interpreter gets the environment without them
        _report(f"{variable} is ignored: it {reason}")
    sys.stdout.flush()
    # A new interpreter: whether workers share their metrics is decided when the library is imported.
    arguments = ["-m", "gunicorn", "--config", "python:backend.process.gunicorn_conf", "backend.main:app"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is the point


Patience = Annotated[float, typer.Option("--patience", min=0, help="Seconds to try again; 0 tries once.")]


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="Alembic revision to reach.")] = "head",
    patience: Patience = 60.0,
) -> None:
    """Bring the database to this release's schema. A database that is ahead is left as it is.

    Exit codes: 1, the database did not answer in time; 2, a setting, the role or the database has to be
    corrected; 3, the migration itself failed and would fail again.
    """
    typer.echo(asyncio.run(_migrate(load_database_settings(), revision, patience)))


@app.command()
def gate(patience: Patience = 600.0) -> None:
    """Wait until the database has this release's schema, or a later one: the step before `serve`.

    Exit codes: 1, it had not in time; 2, a setting, the role or the database has to be corrected.
    """
    settings = load_database_settings()
    if settings.uses_embedded_database:
        return  # it is migrated where it is started
    check_addresses(settings)
    waiting = wait_until_migrated(
        service_parameters(settings),
        patience_seconds=patience,
        report=_report,
        may_write_users=settings.may_write_users,
    )
    typer.echo(asyncio.run(waiting))


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The token's `sub`.")] = "developer",
    expires: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="Such as 3600, 15m, 1h or 7d.")
    ] = "1d",  # type: ignore[assignment]  # the parser's input
) -> None:
    """Print a development token."""
    typer.echo(make_token(load_settings(), user, lifetime_seconds=expires))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app(Settings.model_construct()).openapi(), indent=2, ensure_ascii=False))


def main() -> None:
    """Run the command line; each failure that is foreseen is one sentence and an exit code of its own."""
    # As a container's first process nothing would end us otherwise: the kernel's default does not apply to it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except (ConfigurationError, WaitedInVain, MigrationFailed) as error:
        typer.echo(f"task-service: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1 if isinstance(error, WaitedInVain) else 3)


async def _migrate(settings: DatabaseSettings, revision: str, patience: float) -> str:
    async with AsyncExitStack() as stack:
        check_addresses(settings)
        if settings.uses_embedded_database:
            address = parse_address(await stack.enter_async_context(embedded_postgres(settings.data_dir)))
        else:
            address = migration_parameters(settings)
        return await migrate_patiently(address, revision=revision, patience_seconds=patience, report=_report)


def _report(sentence: str) -> None:
    typer.echo(f"task-service: {sentence}", err=True)


@contextmanager
def _listen(host: str, port: int, *, strict: bool) -> Iterator[socket.socket]:
    """Listen on the port, or on a free one when it is taken and nobody insists on it."""
    try:
        listener = open_listener(host, port)
    except PortTaken:
        if strict:
            raise
        listener = open_listener(host, 0)
        typer.echo(f"Port {port} is taken; serving on {listener.getsockname()[1]} instead.")
    with listener:
        yield listener
