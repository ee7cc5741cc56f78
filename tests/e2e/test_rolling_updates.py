"""Rolling updates under load lose nothing, with two workers in a pod and with one."""

import asyncio
import os
from time import perf_counter

import pytest

from tests.support.cluster import Namespace

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(900)]

UPDATES = int(os.environ.get("UPDATES", "2"))
"""With each number of workers, besides the change of the number. Measured with 10."""


async def test_rolling_updates_lose_nothing(namespace: Namespace) -> None:
    await asyncio.to_thread(namespace.upgrade, "demo", "workers=2", "preStopSeconds=10")
    started = perf_counter()
    async with namespace.load() as load:
        for workers in (2, 1):
            await asyncio.to_thread(namespace.upgrade, "demo", f"workers={workers}", "preStopSeconds=10")
            for _ in range(UPDATES):
                await asyncio.to_thread(
                    namespace.kubectl, "rollout", "restart", "deployment/demo-task-service"
                )
                await asyncio.to_thread(
                    namespace.kubectl, "rollout", "status", "deployment/demo-task-service", "--timeout=120s"
                )
        seen = await load.end()
    updates = 2 * UPDATES + 1
    print(f"{updates} updates in {perf_counter() - started:.0f} s: {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    assert seen.total > 2000
    namespace.assert_stored_once(seen)
