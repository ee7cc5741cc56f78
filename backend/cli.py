"""`task-service`: the commands of production, and those of `backend.devtools` if it is installed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Annotated

import typer

from backend.config import Settings, load_settings
from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.observability.otel_variables import IGNORED_AT_IMPORT
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import (
    check_dsns,
    migration_parameters,
    parse_dsn,
    service_parameters,
    shard_parameters,
)
from backend.platform.postgres.idempotency_purge import PurgeTimeout, purge
from backend.platform.postgres.rollout import (
    MigrationFailed,
    SchemaWaitTimeout,
    migrate_with_retry,
    wait_until_migrated,
)
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_probe import probe_schema_at
from backend.platform.postgres.shards import run_on_every_shard, separate_ids
from backend.platform.server.listener import check_address
from backend.platform.service_name import SERVICE_NAME
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings
from backend.platform.settings.report import describe_settings, settings_table

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Task service on PostgreSQL.")

Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0, help="Seconds for which transient failures are retried; 0 tries once."),
]


@app.command()
def serve() -> None:
    """Run the service for production: Gunicorn with uvicorn workers. Migrate first; SIGTERM stops it."""
    settings = load_settings()
    check_dsns(settings)
    for port in (settings.port, settings.ops_port):
        if port is not None:
            check_address(settings.host, port)
    if settings.uses_embedded_database:
        from backend.devtools.embedded_postgres import running_embedded_postgres  # noqa: PLC0415 - optional

        with running_embedded_postgres(settings.data_dir):
            pass  # reports a failure once instead of in every worker; the workers start it again
    else:
        schema = asyncio.run(probe_schema_at(settings, SCHEMA))
        if schema and schema.defect:
            raise ConfigurationError(schema.defect)
        if schema and schema.state is SchemaState.BEHIND:
            raise ConfigurationError(f"the database's schema is behind: run `{SERVICE_NAME} migrate` first")
        if schema and schema.durability_warning:
            _report(schema.durability_warning)
        if schema is None:  # requests get 503 until the database answers
            _report("the database does not answer yet")
    for variable, reason in IGNORED_AT_IMPORT:  # the new interpreter does not inherit them
        _report(f"{variable} is ignored: it {reason}")
    sys.stdout.flush()
    # A new interpreter, because prometheus_client selects multiprocess mode at import.
    config = "python:backend.platform.server.gunicorn_conf"
    arguments = ["-m", "gunicorn", "--config", config, "backend.main:app"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - needs no shell


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="Alembic revision to upgrade to.")] = "head",
    timeout: Timeout = 60.0,
) -> None:
    """Upgrade the database, or each one of DATABASE_SHARD_URLS, to the schema of this release.

    A database that is ahead is not changed.

    Exit codes: 1, the database did not respond in time; 2, a setting, the role or the database must be
    corrected; 3, the migration failed and would fail again.
    """
    asyncio.run(_migrate(load(DatabaseSettings), revision, timeout))


@app.command()
def wait_for_schema(timeout: Timeout = 600.0) -> None:
    """Wait until the database has the schema of this release or of a later one. Run it before `serve`.

    Exit codes: 1, the schema did not appear in time; 2, a setting, the role or the database must be corrected.
    """
    settings = load(DatabaseSettings)
    if settings.uses_embedded_database:
        return  # the service migrates it at its start
    check_dsns(settings)
    waiter = wait_until_migrated(
        service_parameters(settings),
        SCHEMA,
        timeout_seconds=timeout,
        report=_report,
        may_write_users=settings.may_write_users,
    )
    typer.echo(asyncio.run(waiter))


@app.command()
def purge_idempotency_keys(timeout: Timeout = 60.0) -> None:
    """Delete the idempotency keys that have expired, in batches, also on each database of DATABASE_SHARD_URLS.

    Run it daily; it may be stopped at any time.

    Exit codes: 1, the database did not respond in time; 2, a setting, the role or the database must be corrected.
    """
    asyncio.run(_purge(load(DatabaseSettings), timeout))


@app.command()
def config(
    *,
    table: Annotated[
        bool, typer.Option("--table", help="Print a Markdown table of all variables instead.")
    ] = False,
) -> None:
    """Print the current settings with secrets masked."""
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
    from backend.main import create_app  # noqa: PLC0415 - no other command needs FastAPI, a quarter of the import time

    typer.echo(json.dumps(create_app(Settings.model_construct()).openapi(), indent=2, ensure_ascii=False))


if find_spec("backend.devtools") is not None:
    from backend.devtools import commands

    app.add_typer(commands.app)


def main() -> None:
    """Run the command line. An expected failure prints one sentence and exits with its own code."""
    # The kernel ignores the default action of a signal for PID 1, such as in a container.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except (ConfigurationError, SchemaWaitTimeout, MigrationFailed, PurgeTimeout) as error:
        typer.echo(f"{SERVICE_NAME}: {error}", err=True)
        sys.exit({SchemaWaitTimeout: 1, PurgeTimeout: 1, MigrationFailed: 3}.get(type(error), 2))


async def _migrate(settings: DatabaseSettings, revision: str, timeout_seconds: float) -> None:
    async def migrate_one(parameters: ConnectionParameters, seconds: float, shard: int | None) -> str:
        result = await migrate_with_retry(
            parameters, SCHEMA, revision=revision, timeout_seconds=seconds, report=_report
        )
        if shard is not None and revision == "head":
            await separate_ids(parameters, SCHEMA.tables, shard)
        return result

    await _run_on_databases(settings, migrate_one, timeout_seconds)


async def _purge(settings: DatabaseSettings, timeout_seconds: float) -> None:
    async def purge_one(parameters: ConnectionParameters, seconds: float, _shard: int | None) -> str:
        return await purge(parameters, timeout_seconds=seconds, report=_report)

    await _run_on_databases(settings, purge_one, timeout_seconds)


async def _run_on_databases(
    settings: DatabaseSettings,
    command: Callable[[ConnectionParameters, float, int | None], Awaitable[str]],
    timeout_seconds: float,
) -> None:
    """Run a command on the database, or on every shard, and print its results.

    Args:
        settings: Where the databases are.
        command: Called with connection parameters, the seconds for which it may retry, and the number of the shard.
        timeout_seconds: Seconds for which failures are retried. A shard is retried after the other shards.
    """
    check_dsns(settings)
    if shards := shard_parameters(settings):
        await run_on_every_shard(
            shards,
            lambda number, parameters: command(parameters, 0, number),
            timeout_seconds=timeout_seconds,
            say=typer.echo,
            report=_report,
        )
    else:
        async with _direct_parameters(settings) as parameters:
            typer.echo(await command(parameters, timeout_seconds, None))


@asynccontextmanager
async def _direct_parameters(settings: DatabaseSettings) -> AsyncIterator[ConnectionParameters]:
    """Yield the connection parameters of migrations. In development without a URL the embedded PostgreSQL runs meanwhile."""
    if settings.uses_embedded_database:
        from backend.devtools.embedded_postgres import embedded_postgres  # noqa: PLC0415 - optional

        async with embedded_postgres(settings.data_dir) as url:
            yield parse_dsn(url)
    else:
        yield migration_parameters(settings)


def _report(message: str) -> None:
    typer.echo(f"{SERVICE_NAME}: {message}", err=True)
