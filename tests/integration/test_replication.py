"""No acknowledged write is lost: a primary whose commits wait for a synchronous standby."""

import asyncio
from typing import Any

import httpx

from tests.support.replication import Pair
from tests.support.service import User, running_service, service_settings

TITLES = "SELECT array_agg(title ORDER BY id) FROM tasks"
SHORT = {"database_statement_timeout_seconds": 0.1}
"""The client's time limit is then 1.1 s: longer than an undisturbed commit takes, even on a slow machine."""


def settings(pair: Pair, **overrides: Any) -> Any:
    return service_settings(pair.primary.url, **({"database_pool_max_size": 4} | overrides))


async def create(user: User, title: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await user.request("POST", headers=headers, json={"title": title})


async def test_missing_standby_leaves_no_sessions_behind(pair: Pair) -> None:
    """Each timed-out write is cancelled at the server, which does not notice a closed connection while it waits."""
    async with running_service(settings(pair, **SHORT)) as service, service.user() as user:
        task = await user.create()
        await pair.standby.stop()
        for _ in range(2):
            responses = await asyncio.gather(*(create(user, "Unconfirmed") for _ in range(4)))
            assert {response.status_code for response in responses} == {504}
            assert (await user.request("GET", f"/{task['id']}")).json() == task
            await pair.primary.until_waiting(0)
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        assert await pair.primary.query(sessions) <= 4 + 1
        await pair.start_standby()
        assert (await create(user, "Confirmed")).status_code == 201


async def test_stopped_service_leaves_no_sessions_behind(pair: Pair) -> None:
    limits = {"database_statement_timeout_seconds": 600}
    async with running_service(settings(pair, **limits)) as service, service.user() as user:
        await user.create()
        await pair.standby.stop()
        writes = [asyncio.create_task(create(user, "Unconfirmed")) for _ in range(3)]
        await pair.primary.until_waiting(3)
    await pair.primary.until_waiting(0)
    responses = await asyncio.gather(*writes, return_exceptions=True)
    assert 201 not in {getattr(response, "status_code", None) for response in responses}


async def test_repeated_key_waits_for_the_standby(pair: Pair) -> None:
    """The first request's commit is visible on the primary, but a failover would lose it."""
    async with running_service(settings(pair, **SHORT)) as service, service.user() as user:
        await user.create("Registers the user")
        await pair.standby.stop()
        assert (await create(user, "Once", "key")).status_code == 504
        await pair.primary.until_waiting(0)
        assert await pair.primary.query(TITLES) == ["Registers the user", "Once"]
        assert (await create(user, "Once", "key")).status_code == 504
        await pair.start_standby()
        response = await create(user, "Once", "key")
        assert response.status_code == 201
        await pair.fail_over()
    assert await pair.standby.query(TITLES) == ["Registers the user", "Once"]


async def test_cancelled_wait_for_the_standby_is_not_acknowledged(pair: Pair) -> None:
    limits = {"database_statement_timeout_seconds": 600, "database_pool_acquire_timeout_seconds": 60}
    async with running_service(settings(pair, **limits)) as service, service.user() as user:
        task = await user.create()
        await pair.standby.stop()
        batch = {"operations": [{"operation": "create", "task": {"title": "Third"}}]}
        requests = [
            create(user, "First"),
            create(user, "Second", "key"),
            user.client.post(f"{user.tasks}/batch", json=batch),
            user.request("PATCH", f"/{task['id']}/complete"),
        ]
        writes = [asyncio.create_task(request) for request in requests]
        await pair.primary.until_waiting(len(writes))
        cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        assert await pair.primary.query(cancel) == len(writes)
        responses = await asyncio.gather(*writes)
        assert [response.status_code for response in responses] == [503] * len(writes)
        assert {response.headers["retry-after"] for response in responses}
        # The connections stay usable.
        listed = await asyncio.gather(*(user.list() for _ in writes))
        assert {page["count"] for page in listed} == {4}
