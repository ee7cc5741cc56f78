"""The service through PgBouncer in transaction mode, which may run each transaction on another connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from backend.platform.postgres.database import Database
from backend.platform.postgres.statement import Connection
from tests.support.pgbouncer import pgbouncer
from tests.support.service import User, running_service, service_settings


@pytest.fixture
async def pooled(database_url: str) -> AsyncIterator[tuple[User, str]]:
    async with pgbouncer(database_url) as url:
        settings = service_settings(
            url,
            database_pooler="transaction",
            database_statement_timeout_seconds=0.5,
            database_pool_acquire_timeout_seconds=10,  # a hundred requests wait for four connections, on purpose
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


async def served(user: User, method: str, **options: Any) -> int:
    """Repeat a request that waited for too long in the queue, as a client does; return its status."""
    answer = await user.request(method, **options)
    return (
        answer.status_code if answer.status_code not in {503, 504} else await served(user, method, **options)
    )


async def test_parallel_load_with_retries(pooled: tuple[User, str]) -> None:
    """Forty at once over four connections to the server, each key three times."""
    user, database_url = pooled
    await user.create("Registers the user")
    for _ in range(3):
        keys = [f"key-{number % 20}" for number in range(60)]
        answers = await asyncio.gather(
            *(served(user, "POST", headers={"Idempotency-Key": key}, json={"title": key}) for key in keys),
            *(served(user, "GET") for _ in range(40)),
        )
        assert set(answers) <= {200, 201, 409}
    connection = await asyncpg.connect(database_url)
    titles = await connection.fetch("SELECT title FROM tasks WHERE title LIKE 'key-%'")
    await connection.close()
    assert sorted(row["title"] for row in titles) == sorted(f"key-{number}" for number in range(20))


async def test_time_limits_apply_through_pgbouncer(pooled: tuple[User, str]) -> None:
    user, database_url = pooled
    task = await user.create()
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
        answer = await user.request("PATCH", f"/{task['id']}/complete")
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:task-service:problem:database-timeout")
    assert (await user.request("GET", f"/{task['id']}")).json() == task
    await connection.close()


async def test_prepared_statements_fail_through_pgbouncer(database_url: str) -> None:
    """Why DATABASE_POOLER is needed: the check that the tests above really have a pooler between."""
    async with (
        pgbouncer(database_url) as url,
        running_service(service_settings(url, database_pooler="none")) as service,
        service.user() as user,
    ):
        # A rejected startup parameter is a permanent failure of the setup.
        assert (await user.request("GET")).status_code == 500


async def setting(url: str, name: str, **settings: str) -> str:
    """Return a setting of PostgreSQL as the service's transactions have it."""

    async def show(connection: Connection) -> str:
        value: str = (await connection.fetch(f"SHOW {name}"))[0][0]
        return value

    database = Database(service_settings(url, **settings))
    await database.start()
    try:
        return await database.transaction(show)
    finally:
        await database.stop()


async def test_session_pooler_of_pgbouncer(database_url: str) -> None:
    async with pgbouncer(database_url, pool_mode="session") as url:
        settings = {"database_pooler": "session"}
        assert await setting(f"{url}&search_path=public,pg_catalog", "search_path", **settings) == (
            "public,pg_catalog"
        )
        assert await setting(f"{url}&options=-c%20my.a%3Db", "my.a", **settings) == "b"
        assert await setting(f"{url}&application_name=web", "application_name", **settings) == "web"
        assert await setting(url, "statement_timeout", **settings) == "5s"
        async with running_service(service_settings(url, **settings)) as service, service.user() as user:
            task = await user.create()
            assert (await user.list(search="milk"))["tasks"] == [task]


async def test_url_with_pgbouncer_true_uses_no_prepared_statements(database_url: str) -> None:
    async with pgbouncer(database_url) as url:
        settings = service_settings(f"{url}&pgbouncer=true&connection_limit=1&search_path=public")
        async with running_service(settings) as service, service.user() as user:
            task = await user.create()
            assert (await user.list(search="milk"))["tasks"] == [task]
