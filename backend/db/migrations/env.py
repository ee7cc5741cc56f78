"""Runs migrations on asyncpg, one at a time: behind a lock, each in a transaction of its own."""

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

from backend.platform.postgres import idempotency_key  # noqa: F401 - they fill the metadata
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import migration_parameters, parse_dsn
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings

LOCK_KEY = 7_267_118_534_120_771_001
"""Of the advisory lock that lets one migration run at a time; any number will do, as long as it stays."""

CONNECT_SECONDS = 60.0
LOCK_WAIT_SECONDS = 300.0
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def include_object(item: Any, name: str | None, type_: str, _reflected: bool, _compared: Any) -> bool:  # noqa: FBT001 - Alembic's signature
    """Leave Better Auth's tables out of every comparison, and `users` too, which is theirs to alter."""
    if type_ == "index":
        # A reflected expression has lost its collation, so it always looks changed; tests/integration has these.
        return all(isinstance(expression, Column) for expression in item.expressions)
    return type_ != "table" or (name != "users" and name in SQLModel.metadata.tables)


def acquire_migration_lock(connection: Connection) -> None:
    """Wait until no other migration runs."""
    give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
    # Asking again and again: a statement that waits would hold a snapshot, for the end of which the other's
    # CREATE INDEX CONCURRENTLY waits in turn.
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_KEY})")):
        connection.rollback()
        if time.monotonic() > give_up_at:
            raise TimeoutError("another migration has not ended")
        time.sleep(0.2)


def run(connection: Connection) -> None:
    """Run the migrations that are asked for."""
    acquire_migration_lock(connection)
    # A statement that waits for a lock makes every query behind it wait too: rather fail and try again.
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
    """Connect to the database that is asked for, or to the embedded one."""
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
            await connection.run_sync(run)  # closing the connection frees the lock
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=SQLModel.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_online())
