"""Rolling updates under load lose nothing, ten in a row."""

import asyncio
from time import perf_counter

import pytest

from tests.support.cluster import Namespace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

UPDATES = 10


@pytest.mark.parametrize("workers", [2, 1])
async def test_ten_rolling_updates_lose_nothing(namespace: Namespace, workers: int) -> None:
    await asyncio.to_thread(namespace.upgrade, "demo", f"workers={workers}", "preStopSeconds=10")
    started = perf_counter()
    async with namespace.load(clients=12) as load:
        for _ in range(UPDATES):
            await asyncio.to_thread(namespace.kubectl, "rollout", "restart", "deployment/demo-task-service")
            await asyncio.to_thread(
                namespace.kubectl, "rollout", "status", "deployment/demo-task-service", "--timeout=120s"
            )
        seen = await load.end()
    print(f"{workers} workers: {UPDATES} updates in {perf_counter() - started:.0f} s: {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    assert seen.total > 2000
    namespace.assert_stored_once(seen)
