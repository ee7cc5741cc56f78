"""Everything works through PgBouncer in transaction mode, which changes the server between transactions."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.pgbouncer import pgbouncer
from tests.support.service import User, running_service, service_settings


@pytest.fixture
async def pooled(database_url: str) -> AsyncIterator[tuple[User, str]]:
    async with pgbouncer(database_url) as url:
        settings = service_settings(
            url,
            database_pooler="transaction",
            database_statement_timeout_seconds=0.5,
            database_pool_timeout_seconds=10,  # a hundred requests wait for four connections, on purpose
        )
        async with running_service(settings) as service, service.user() as user:
            yield user, database_url


async def test_every_operation(pooled: tuple[User, str]) -> None:
    user, _ = pooled
    task = await user.create("Buy milk")
    path = f"/{task['id']}"
    assert (await user.request("GET", path)).json() == task
    changed = await user.request("PATCH", path, headers={"If-Match": '"v1"'}, json={"title": "Buy oat milk"})
    assert changed.json()["title"] == "Buy oat milk"
    assert (
        await user.request("PATCH", path, headers={"If-Match": '"v1"'}, json={"title": "Late"})
    ).status_code == 412
    assert (await user.request("PATCH", f"{path}/complete")).json()["completed"] is True
    assert (await user.list(search="oat", status="completed", sort="title"))["count"] == 1
    assert (await user.request("DELETE", path)).status_code == 204
    assert (await user.request("DELETE", path)).status_code == 404


async def test_parallel_load_with_repeats(pooled: tuple[User, str]) -> None:
    """Forty at once over four connections to the server, each key three times."""
    user, database_url = pooled
    await user.create("Registers the user")
    for _ in range(3):
        keys = [f"key-{number % 20}" for number in range(60)]
        answers = await asyncio.gather(
            *(user.request("POST", headers={"Idempotency-Key": key}, json={"title": key}) for key in keys),
            *(user.request("GET") for _ in range(40)),
        )
        assert set(Counter(answer.status_code for answer in answers)) <= {200, 201, 409}
    connection = await asyncpg.connect(database_url)
    titles = await connection.fetch("SELECT title FROM tasks WHERE title LIKE 'key-%'")
    await connection.close()
    assert sorted(row["title"] for row in titles) == sorted(f"key-{number}" for number in range(20))


async def test_time_limits_hold_there_too(pooled: tuple[User, str]) -> None:
    user, database_url = pooled
    task = await user.create()
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
        answer = await user.request("PATCH", f"/{task['id']}/complete")
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:task-service:problem:database-timeout")
    assert (await user.request("GET", f"/{task['id']}")).json() == task
    await connection.close()


async def test_prepared_statements_would_fail_there(database_url: str) -> None:
    """Why DATABASE_POOLER is needed: the check that the tests above really have a pooler between."""
    async with (
        pgbouncer(database_url) as url,
        running_service(service_settings(url, database_pooler="none")) as service,
        service.user() as user,
    ):
        assert (await user.request("GET")).status_code == 503
