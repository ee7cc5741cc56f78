"""Alembic's environment: runs migrations on asyncpg, one process at a time, each in a transaction."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
from alembic import context
from sqlalchemy import Column, Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from backend.db.schema import SCHEMA
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import migration_parameters, parse_dsn
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings

LOCK_KEY = 7_267_118_534_120_771_001
"""Key of the advisory lock that serializes migrations. It must never change."""

CONNECT_SECONDS = 60.0
LOCK_WAIT_SECONDS = 300.0
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def include_object(item: Any, name: str | None, type_: str, _reflected: bool, _compared: Any) -> bool:  # noqa: FBT001 - Alembic's signature
    """Exclude the tables of other applications, including `users`, from every comparison."""
    if type_ == "index":
        # A reflected expression has no collation, so it always differs; tests/integration compares these indexes.
        return all(isinstance(expression, Column) for expression in item.expressions)
    return type_ != "table" or name in {table.name for table in SCHEMA.tables}


def acquire_migration_lock(connection: Connection) -> None:
    """Wait until no other migration runs."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    # Poll: a blocking pg_advisory_lock holds a snapshot that CREATE INDEX CONCURRENTLY waits for.
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_KEY})")):
        connection.rollback()
        if time.monotonic() > deadline:
            raise TimeoutError("another migration has not ended")
        time.sleep(0.2)


def run(connection: Connection) -> None:
    """Run the requested migrations."""
    acquire_migration_lock(connection)
    # A statement that waits for a lock blocks all later queries on the table: fail early; the caller retries.
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_object=include_object,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    """Connect to the configured database, or to the embedded one."""
    async with AsyncExitStack() as stack:
        parameters: ConnectionParameters | None = context.config.attributes.get("parameters")
        if parameters is None:
            settings = load(DatabaseSettings)
            if settings.uses_embedded_database:
                from backend.devtools.embedded_postgres import embedded_postgres  # noqa: PLC0415 - optional

                url = await stack.enter_async_context(embedded_postgres(settings.data_dir))
                parameters = parse_dsn(url)
            else:
                parameters = migration_parameters(settings)

        async def connect() -> "asyncpg.Connection[asyncpg.Record]":
            return await open_connection(parameters, timeout_seconds=CONNECT_SECONDS)

        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(run)  # closing the connection releases the lock
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=SQLModel.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_online())
