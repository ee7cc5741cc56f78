"""Idempotency keys on a prepared connection: order of the statements, replay, and rejections."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from backend.models.task import VersionedTask
from backend.platform.errors import IdempotencyKeyInProgress, IdempotencyKeyReused
from backend.platform.postgres.database import Database
from backend.platform.postgres.idempotency import (
    DELETE_EXPIRED_KEYS,
    FIND_KEY,
    LOCK_KEY,
    STORE_KEY,
    IdempotencyStore,
)
from backend.platform.postgres.statement import Connection
from tests.support.fakes import FakeConnection, stored

FINGERPRINT = b"fingerprint"
LOCKED, NOT_LOCKED = [(True,)], [(False,)]


class FakeDatabase:
    """Runs a transaction on a prepared connection."""

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection

    async def transaction[Result](
        self, work: Callable[[Connection], Awaitable[Result]], *, user_id: str
    ) -> Result:
        assert user_id == "alice"
        return await work(self.connection)


async def run(connection: FakeConnection, fingerprint: bytes = FINGERPRINT) -> tuple[VersionedTask, bool]:
    async def create(given: Connection) -> VersionedTask:
        assert given is connection, "the row and the key are written in one transaction"
        await given.fetch("INSERT")
        return stored()

    store = IdempotencyStore(cast("Database", FakeDatabase(connection)))
    return await store.run("alice", "key", fingerprint, create, VersionedTask)


async def stored_row() -> dict[str, Any]:
    """Return the row that the first request writes."""
    connection = FakeConnection(LOCKED, [], [], [], [])
    await run(connection)
    _, arguments = connection.queries[-1]
    (answer,) = [each for each in arguments if isinstance(each, bytes) and each != FINGERPRINT]
    return {"fingerprint": FINGERPRINT, "answer": answer}


async def test_first_request_creates_and_stores_its_result() -> None:
    connection = FakeConnection(LOCKED, [], [], [], [])
    assert await run(connection) == (stored(), True)
    statements = [query for query, _ in connection.queries]
    expected = (LOCK_KEY, FIND_KEY, DELETE_EXPIRED_KEYS)
    assert statements == [*(each.sql for each in expected), "INSERT", STORE_KEY.sql]
    for query, arguments in connection.queries:
        assert query == "INSERT" or "alice" in arguments


async def test_repeated_request_gets_the_stored_result_and_creates_nothing() -> None:
    row = await stored_row()
    connection = FakeConnection(LOCKED, [row])
    assert await run(connection) == (stored(), False)
    assert [query for query, _ in connection.queries] == [LOCK_KEY.sql, FIND_KEY.sql]


async def test_key_of_another_request_is_rejected() -> None:
    connection = FakeConnection(LOCKED, [await stored_row()])
    with pytest.raises(IdempotencyKeyReused):
        await run(connection, b"another fingerprint")


async def test_concurrent_request_is_rejected_before_it_reads() -> None:
    connection = FakeConnection(NOT_LOCKED)
    with pytest.raises(IdempotencyKeyInProgress):
        await run(connection)
    assert len(connection.queries) == 1
