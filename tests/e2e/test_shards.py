"""The service before two and four PostgreSQL servers, each with a part of the users, behind the real router."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.shards.sharded_postgres import PROGRAM, Shard, ShardedPostgres, sharded_postgres
from tests.support.database import UNSAFE_BUT_FAST
from tests.support.docker import ROOT
from tests.support.service import RunningService, User, running_service, service_settings
from tests.support.waiting import poll_until, timeout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

USERS = 24
SETTINGS = UNSAFE_BUT_FAST | {"synchronous_commit": "on"}  # a killed server keeps what it has acknowledged


@dataclass(frozen=True)
class Deployment:
    """A service whose URL leads to the router, and its users with their tasks."""

    postgres: ShardedPostgres
    service: RunningService
    users: list[User]

    async def shard_of(self, user: User) -> Shard:
        """Return the one shard with rows of a user."""
        found = [shard for shard in self.postgres.shards if user.id in await self.ids(shard, "users", "id")]
        (shard,) = found
        return shard

    async def ids(self, shard: Shard, table: str, column: str) -> list[Any]:
        """Return a column of a table on a shard, without the router."""
        connection = await asyncpg.connect(shard.url)
        try:
            return [row[0] for row in await connection.fetch(f"SELECT {column} FROM {table}")]  # noqa: S608 - constants
        finally:
            await connection.close()

    async def statuses(self, users: list[User], method: str = "GET") -> set[int]:
        """Return the status codes of a request of each user."""
        options: dict[str, Any] = {"json": {"title": "One more"}} if method == "POST" else {}
        answers = await asyncio.gather(*(user.request(method, **options) for user in users))
        return {answer.status_code for answer in answers}


@pytest.fixture(scope="module", params=[2, 4], ids="{} shards".format)
async def deployment(
    request: pytest.FixtureRequest,
    anyio_backend: str,  # noqa: ARG001 - its scope
    postgres_folder: Path,
) -> AsyncIterator[Deployment]:
    if shutil.which(PROGRAM) is None:
        reason = f"{PROGRAM} is not on the PATH (https://github.com/pg-sharding/spqr)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = postgres_folder / f"shards-{uuid4().hex[:8]}"
    folder.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(sharded_postgres(folder, request.param, SETTINGS))
        settings = service_settings(postgres.url, database_pooler="spqr", readiness_database_check="strict")
        service = await stack.enter_async_context(running_service(settings))
        names = (f"user-{number}" for number in range(USERS))
        users = [await stack.enter_async_context(service.user(name)) for name in names]
        await asyncio.gather(*(_use(user) for user in users))
        yield Deployment(postgres, service, users)


async def _use(user: User) -> None:
    """Call every kind of operation: three tasks and one key remain."""
    key = {"Idempotency-Key": "first"}
    for _ in range(2):
        first = await user.request("POST", json={"title": "Buy milk", "tags": ["home"]}, headers=key)
        assert first.status_code == 201, first.text
    second, third, gone = [await user.create(title) for title in ("Second", "Third", "Gone")]
    operations = [
        {"operation": "update", "id": second["id"], "task": {"priority": "high"}},
        {"operation": "delete", "id": gone["id"]},
    ]
    assert (await user.request("POST", "/batch", json={"operations": operations})).status_code == 200
    assert (await user.request("PATCH", f"/{third['id']}/complete")).status_code == 200
    assert (await user.request("PUT", f"/{third['id']}", json={"title": "Done"})).status_code == 200


async def test_rows_of_a_user_are_on_one_shard_and_no_id_occurs_twice(deployment: Deployment) -> None:
    shards = deployment.postgres.shards
    names = {user.id for user in deployment.users}
    for table, column, count in (
        ("users", "id", 1),
        ("tasks", "user_id", 3),
        ("idempotency_keys", "user_id", 1),
    ):
        found = [await deployment.ids(shard, table, column) for shard in shards]
        assert all(found), f"a shard without {table}"
        assert sum(len(names & set(each)) for each in found) == USERS
        assert min(sum(each.count(name) for each in found) for name in names) == count
    ids = [await deployment.ids(shard, "tasks", "id") for shard in shards]
    assert [{each % 1024 for each in of_shard} for of_shard in ids] == [
        {n} for n in range(1, len(shards) + 1)
    ]


async def test_users_see_their_own_tasks_only(deployment: Deployment) -> None:
    tasks = {user.id: (await user.list())["tasks"] for user in deployment.users}
    assert all({task["user_id"] for task in of_user} == {name} for name, of_user in tasks.items())
    for user, other in zip(deployment.users, deployment.users[1:], strict=False):
        task = tasks[other.id][0]
        for method, body in (("GET", None), ("PATCH", {"title": "Mine"}), ("DELETE", None)):
            answer = await user.request(method, f"/{task['id']}", json=body)
            assert answer.status_code == 404
        assert (await user.client.get(f"{other.tasks}/{task['id']}")).status_code == 403
        assert (await user.list(search="milk", tag="home"))["count"] == 1
    assert {user.id: (await user.list())["tasks"] for user in deployment.users} == tasks


async def test_killed_shard_takes_only_its_own_users_with_it(deployment: Deployment) -> None:
    lost = await deployment.shard_of(deployment.users[0])
    of_lost = set(await deployment.ids(lost, "users", "id"))
    affected = [user for user in deployment.users if user.id in of_lost]
    others = [user for user in deployment.users if user.id not in of_lost]
    before = {user.id: (await user.list())["tasks"] for user in deployment.users}
    await lost.kill()
    # A request can meet a session between router and shard that has just ended, once.
    assert await deployment.statuses(others) <= {200, 503}

    async def others_are_served() -> bool:
        return await deployment.statuses(others) == {200}

    await poll_until(others_are_served, what="the users of the other shards are served")
    for method, status in (("GET", 200), ("POST", 201), ("GET", 200)):
        assert await deployment.statuses(affected, method) == {503}
        assert await deployment.statuses(others, method) == {status}
    answer = await affected[0].request("GET")
    assert (answer.headers["content-type"], "retry-after" in answer.headers) == (
        "application/problem+json",
        True,
    )
    assert (await others[0].client.get("/readyz")).status_code == 200
    await lost.start()

    async def serves() -> bool:
        return await deployment.statuses(affected) == {200}

    await poll_until(serves, what="the users of the shard are served again")
    for user in affected:
        assert (await user.list())["tasks"] == before[user.id]


async def test_timed_out_statement_is_cancelled_on_its_shard(deployment: Deployment) -> None:
    """The client's time limit: the server's own is that of the role."""
    user = deployment.users[0]
    shard = await deployment.shard_of(user)
    settings = service_settings(
        deployment.postgres.url, database_pooler="spqr", database_statement_timeout_seconds=0.2
    )
    blocker = await asyncpg.connect(shard.url)
    async with running_service(settings) as service, service.user(user.id) as patient:
        task = await patient.create()
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("UPDATE tasks SET title = 'Locked' WHERE id = $1", task["id"])
        answer = await patient.request("PATCH", f"/{task['id']}", json={"title": "Late"})
        assert answer.status_code == 504
        waiting = "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

        async def nothing_waits() -> bool:
            return bool(await blocker.fetchval(waiting))

        await poll_until(nothing_waits, what="no statement waits for the lock")
        await transaction.rollback()
        assert (await patient.request("GET", f"/{task['id']}")).json()["title"] == task["title"]
    await blocker.close()


async def test_contract_holds_through_the_router(deployment: Deployment) -> None:
    """The tests of the HTTP contract, in processes of their own."""
    outer = ("PYTEST_", "COVERAGE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    environment |= {"DATABASE_URL": deployment.postgres.url, "DATABASE_POOLER": "spqr"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "tests/contract"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with timeout(120):
            output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output[-8000:]
    assert " skipped" not in output.splitlines()[-1]
