"""Stops of the service under load lose no request."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from time import perf_counter

import pytest

from tests.support.load import run_load, run_proxy
from tests.support.workers import Workers, run_workers

STOPS = int(os.environ.get("STOPS", "6"))
"""Measured with 20, which takes three to four minutes."""
PROPAGATION_SECONDS = 0.3
"""How long load balancers go on sending new connections to an instance that is being stopped."""


async def stop_as_kubernetes_does(workers: Workers) -> None:
    """Run the preStop command, then send SIGTERM."""
    drain = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "backend.platform.server.drain", "1.5"),
        env={**os.environ, "RUN_DIR": str(workers.run_dir)},
    )
    assert await drain.wait() == 0
    assert await workers.stop() == 0


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.serial
async def test_no_request_is_lost_over_many_stops(tmp_path: Path, database_url: str) -> None:
    started = perf_counter()
    async with contextlib.AsyncExitStack() as instances:

        async def start(number: int) -> Workers:
            folder = tmp_path / str(number)
            folder.mkdir()
            instance = run_workers(folder, database_url, workers=2)
            return await instances.enter_async_context(instance)

        serving = await start(0)
        async with (
            run_proxy(serving.port) as proxy,
            run_load(proxy.port, serving.authorization("alice"), "/api/alice/tasks", clients=20) as load,
        ):
            for number in range(1, STOPS + 1):
                following = await start(number)
                stopping = asyncio.create_task(stop_as_kubernetes_does(serving))
                await asyncio.sleep(PROPAGATION_SECONDS)
                proxy.target = following.port
                await stopping
                assert load.lost == []
                serving = following
    total, seconds = sum(load.statuses.values()), perf_counter() - started
    print(f"{STOPS} stops, {total} requests, {len(load.lost)} lost, {seconds:.0f} s")
    assert set(load.statuses) == {200, 201}
    assert load.lost == []
    assert total >= 10_000
