"""`task-service`: the command line of production, and of the development tools where they are installed."""

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Annotated

import typer

from backend.config import Settings, load_settings
from backend.db.schema import SCHEMA
from backend.main import create_app
from backend.platform.errors import ConfigurationError
from backend.platform.observability.otel_variables import IGNORED_AT_IMPORT
from backend.platform.postgres.dsn import check_dsns, migration_parameters, parse_dsn, service_parameters
from backend.platform.postgres.rollout import (
    MigrationFailed,
    SchemaWaitTimeout,
    migrate_with_retry,
    wait_until_migrated,
)
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_probe import probe_schema_at
from backend.platform.server.listener import check_address
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings
from backend.platform.settings.report import describe_settings, settings_table

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A task service on PostgreSQL.")

Timeout = Annotated[
    float, typer.Option("--timeout", min=0, help="Seconds during which a failure is retried; 0 tries once.")
]


@app.command()
def serve() -> None:
    """Run the service for production: workers under Gunicorn. Migrate first; SIGTERM ends it."""
    settings = load_settings()
    check_dsns(settings)
    for port in (settings.port, settings.ops_port):
        if port is not None:
            check_address(settings.host, port)
    if settings.uses_embedded_database:
        from backend.devtools.embedded_postgres import running_embedded_postgres  # noqa: PLC0415 - optional

        with running_embedded_postgres(settings.data_dir):
            pass  # reports a defect once, before each worker would; the workers start it again
    else:
        schema = asyncio.run(probe_schema_at(settings, SCHEMA))
        if schema and schema.defect:
            raise ConfigurationError(schema.defect)
        if schema and schema.state is SchemaState.BEHIND:
            raise ConfigurationError("the database's schema is behind: run `task-service migrate` first")
        if schema is None:  # requests get 503 until it answers
            typer.echo("task-service: the database does not answer yet", err=True)
    for variable, reason in IGNORED_AT_IMPORT:  # the new interpreter gets the environment without them
        _report(f"{variable} is ignored: it {reason}")
    sys.stdout.flush()
    # A new interpreter: whether workers share their metrics is decided when prometheus_client is imported.
    config = "python:backend.platform.server.gunicorn_conf"
    arguments = ["-m", "gunicorn", "--config", config, "backend.main:app"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is the point


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="Alembic revision to reach.")] = "head",
    timeout: Timeout = 60.0,
) -> None:
    """Bring the database to this release's schema. A database that is ahead is left as it is.

    Exit codes: 1, the database did not answer in time; 2, a setting, the role or the database has to be
    corrected; 3, the migration itself failed and would fail again.
    """
    typer.echo(asyncio.run(_migrate(load(DatabaseSettings), revision, timeout)))


@app.command()
def wait_for_schema(timeout: Timeout = 600.0) -> None:
    """Wait until the database has this release's schema, or a later one: the step before `serve`.

    Exit codes: 1, it did not in time; 2, a setting, the role or the database has to be corrected.
    """
    settings = load(DatabaseSettings)
    if settings.uses_embedded_database:
        return  # the service migrates it when it starts it
    check_dsns(settings)
    waiting = wait_until_migrated(
        service_parameters(settings),
        SCHEMA,
        timeout_seconds=timeout,
        report=_report,
        may_write_users=settings.may_write_users,
    )
    typer.echo(asyncio.run(waiting))


@app.command()
def config(
    *,
    table: Annotated[
        bool, typer.Option("--table", help="Describe every variable instead, in Markdown.")
    ] = False,
) -> None:
    """Print the settings in force, secrets masked."""
    if table:
        lines = settings_table(Settings)
    else:
        settings = load_settings()
        check_dsns(settings)
        lines = describe_settings(settings)
    typer.echo("\n".join(lines))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app(Settings.model_construct()).openapi(), indent=2, ensure_ascii=False))


if find_spec("backend.devtools") is not None:
    from backend.devtools import commands

    app.add_typer(commands.app)


def main() -> None:
    """Run the command line; each expected failure is one sentence and an exit code of its own."""
    # The kernel's default action does not apply to the first process of a container.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except (ConfigurationError, SchemaWaitTimeout, MigrationFailed) as error:
        typer.echo(f"task-service: {error}", err=True)
        sys.exit({SchemaWaitTimeout: 1, MigrationFailed: 3}.get(type(error), 2))


async def _migrate(settings: DatabaseSettings, revision: str, timeout_seconds: float) -> str:
    async with AsyncExitStack() as stack:
        check_dsns(settings)
        if settings.uses_embedded_database:
            from backend.devtools.embedded_postgres import embedded_postgres  # noqa: PLC0415 - optional

            address = parse_dsn(await stack.enter_async_context(embedded_postgres(settings.data_dir)))
        else:
            address = migration_parameters(settings)
        return await migrate_with_retry(
            address, SCHEMA, revision=revision, timeout_seconds=timeout_seconds, report=_report
        )


def _report(sentence: str) -> None:
    typer.echo(f"task-service: {sentence}", err=True)
