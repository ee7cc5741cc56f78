"""Two hundred workers come and go: what they leave behind does not grow, and every count stays exact."""

import os
import signal
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx
import pytest

from tests.support.waiting import poll_until, scaled
from tests.support.workers import Workers, run_workers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

WORKERS = 8
ENDED = 200
FILES_A_WORKER = 10
"""More kinds of files than a worker has: gauges by mode, counters, histograms, exemplars."""


async def create_tasks(workers: Workers, count: int) -> None:
    for _ in range(count):
        async with httpx.AsyncClient(headers=workers.authorization("alice"), timeout=scaled(20)) as client:
            answer = await client.post(f"{workers.url}/api/alice/tasks", json={"title": "Buy milk"})
            assert answer.status_code == 201


async def all_new(workers: Workers, before: set[int]) -> None:
    async def are_new() -> bool:
        now = set(workers.children())
        is_new = len(now) == WORKERS and not now & before
        return is_new and await workers.value("gunicorn_workers") == WORKERS

    # Killed workers end their connections.
    await poll_until(are_new, 90, what="each worker is another one", retried=(httpx.TransportError,))


async def test_two_hundred_ended_workers_leave_no_files_and_no_wrong_count(
    tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / "run" / "metrics"
    created = ended = 0
    most_files = 0
    async with run_workers(tmp_path, database_url, workers=WORKERS, database_pool_max_size=2) as workers:
        while ended < ENDED:
            await create_tasks(workers, WORKERS)
            created += WORKERS
            before = set(workers.children())
            for process_id in before:
                os.kill(process_id, signal.SIGKILL if ended % (2 * WORKERS) else signal.SIGTERM)
            ended += WORKERS
            await all_new(workers, before)
            assert await workers.value("tasks_created_total") == created
            most_files = max(most_files, len(list(folder.iterdir())))
        assert await workers.value("gunicorn_worker_exits_total") == ended
        seconds = []
        for _ in range(20):
            started = perf_counter()
            await workers.scrape()
            seconds.append(perf_counter() - started)
    print(f"{ended} workers: at most {most_files} files, a scrape {median(seconds) * 1000:.0f} ms")
    assert most_files <= FILES_A_WORKER * (WORKERS + 1)
