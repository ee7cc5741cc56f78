"""Databases for tests: made by the migrations once, then cloned."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import override
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from backend.db.schema import SCHEMA
from backend.devtools.embedded_postgres import embedded_postgres
from backend.platform.postgres.migration import migrate

__all__ = ["POOLER", "Router", "Server", "run_server"]

POOLER = os.environ.get("DATABASE_POOLER", "auto")
"""Of a configured server: tests/e2e/test_shards.py runs the contract tests through a router of shards."""

# Nothing here outlives the tests, so nothing waits for the disk.
UNSAFE_BUT_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


class Server:
    """A PostgreSQL server on which tests make databases.

    Args:
        url: Of any database of it, with the right to create others.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()

    async def execute(self, sql: str) -> None:
        """Run a statement outside any test's database."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """Make a database like the template, and drop it at the end."""
        name = f"test_{uuid4().hex}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Router(Server):
    """A router of migrated shards, which all tests share: it cannot make databases."""

    @override
    @contextlib.asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """Yield the URL of the one database."""
        yield self._url


@contextlib.asynccontextmanager
async def run_server(folder: Path, url: str | None) -> AsyncIterator[tuple[Server, str]]:
    """Yield a server and the name of its migrated template.

    Args:
        folder: Where an embedded server keeps its data.
        url: A server to use instead.
    """
    async with contextlib.AsyncExitStack() as stack:
        if url is None:
            url = await stack.enter_async_context(embedded_postgres(folder, UNSAFE_BUT_FAST))
        if POOLER == "spqr":
            yield Router(url), ""
            return
        server = Server(url)
        template = await stack.enter_async_context(server.database("template0"))
        await migrate(template, SCHEMA)
        yield server, urlsplit(template).path[1:]
