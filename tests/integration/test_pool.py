"""The pool of database connections under contention."""

import asyncio
import itertools
from typing import Any, override

import sqlalchemy
from asyncpg import Record

from backend.platform.postgres.database import Database
from backend.platform.postgres.statement import CompiledStatement, Connection
from tests.support.service import service_settings


class NotedStatement(CompiledStatement):
    """A statement that tells when it got its connection."""

    __slots__ = ("begun", "number")

    def __init__(self, number: int, begun: list[int]) -> None:
        super().__init__("select one", sqlalchemy.text("SELECT 1"))
        self.number = number
        self.begun = begun

    @override
    async def fetch(self, connection: Connection, values: dict[str, Any]) -> list[Record]:
        self.begun.append(self.number)
        return await super().fetch(connection, values)


async def test_free_connection_goes_to_the_longest_waiter(database_url: str) -> None:
    database = Database(
        service_settings(database_url, database_pool_prewarm_size=2, database_pool_max_size=2)
    )
    await database.start()
    numbers = itertools.count()
    begun: list[int] = []

    async def ask_again_and_again() -> None:
        while len(begun) < 500:
            await database.fetch(NotedStatement(next(numbers), begun))

    try:
        await asyncio.gather(*(ask_again_and_again() for _ in range(20)))
    finally:
        await database.stop()
    assert begun == sorted(begun)
