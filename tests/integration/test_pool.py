"""The pool of database connections under contention."""

import asyncio
import itertools

import sqlalchemy

from backend.db.pool import Database
from backend.db.statement import Statement
from tests.support.service import service_settings


async def test_a_free_connection_goes_to_who_waits_longest(database_url: str) -> None:
    database = Database(service_settings(database_url, database_pool_max_size=2))
    await database.start()
    statement = Statement("select one", sqlalchemy.text("SELECT 1"))
    numbers = itertools.count()
    served: list[int] = []

    async def ask_again_and_again() -> None:
        while len(served) < 500:
            number = next(numbers)
            await database.fetch(statement)
            served.append(number)

    try:
        await asyncio.gather(*(ask_again_and_again() for _ in range(20)))
    finally:
        await database.stop()
    # Two are at the database at once, and either may end first.
    assert max(place - number for place, number in enumerate(served)) <= 2
