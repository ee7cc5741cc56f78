"""The service under Gunicorn: exact metrics, exits and replacement of workers, drain, rejected starts."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.waiting import poll_until, scaled, timeout
from tests.support.workers import Workers, run_workers

REQUESTS = "http_server_request_duration_seconds_count"
ROUTE = "/api/{user_id}/tasks"
MARKER = "planted-task-text"


async def create_tasks(workers: Workers, count: int) -> None:
    """Each on a connection of its own, so that every worker gets some."""
    for _ in range(count):
        async with httpx.AsyncClient(
            base_url=workers.url, headers=workers.authorization("alice"), timeout=scaled(60)
        ) as client:
            answer = await client.post(
                "/api/alice/tasks?search=" + MARKER, json={"title": MARKER}, headers={"Connection": "close"}
            )
            assert answer.status_code == 201


async def counted(workers: Workers) -> tuple[float, float]:
    labels = {"http_route": ROUTE, "http_request_method": "POST", "http_response_status_code": "201"}
    return await workers.value(REQUESTS, **labels), await workers.value("tasks_created_total")


async def replaced(workers: Workers, before: list[int]) -> None:
    """Wait until other workers serve, as many as before."""

    async def are_new() -> bool:
        now = workers.children()
        is_new = len(now) == len(before) and not set(now) & set(before)
        return is_new and await workers.value("gunicorn_workers") == len(before)

    await poll_until(are_new, 30, what="other workers serve")


async def exits(workers: Workers, reason: str) -> float:
    return await workers.value("gunicorn_worker_exits_total", reason=reason)


@pytest.mark.parametrize("count", [1, 3])
async def test_counters_are_exact_and_monotonic_across_worker_restarts(
    tmp_path: Path, database_url: str, count: int
) -> None:
    async with run_workers(tmp_path, database_url, workers=count) as workers:
        first = workers.children()
        await create_tasks(workers, 30)
        assert await counted(workers) == (30, 30)
        assert await workers.value("gunicorn_workers") == count
        cpu_before = await workers.value("process_cpu_seconds_total", role="worker")

        os.kill(first[0], signal.SIGKILL)
        await poll_until(lambda: exits(workers, "crashed"), what="the crash is counted")
        assert await exits(workers, "crashed") == 1
        workers.process.send_signal(signal.SIGHUP)
        await replaced(workers, first)
        assert await counted(workers) == (30, 30)
        assert await workers.value("process_cpu_seconds_total", role="worker") >= cpu_before

        await create_tasks(workers, 30)
        assert await counted(workers) == (60, 60)

        async def are_counted() -> bool:  # with one worker its replacement may be told to stop as well
            return await exits(workers, "stopped") >= count - 1

        await poll_until(are_counted, what="the stopped workers are counted")
        owners = {path.stem.rpartition("_")[2] for path in (workers.run_dir / "metrics").glob("*.db")}
        assert owners == {"arbiter", "archive", *map(str, workers.children())}
    lines = workers.log.read_text()
    assert MARKER not in lines
    assert "Bearer" not in lines
    assert all(line.startswith("{") for line in lines.splitlines())


async def test_worker_is_replaced_after_max_requests_without_a_lost_request(
    tmp_path: Path, database_url: str
) -> None:
    async with run_workers(
        tmp_path, database_url, workers=2, max_requests=40, max_requests_jitter=20
    ) as workers:
        limits = httpx.Limits(max_connections=4)
        async with (
            httpx.AsyncClient(
                base_url=workers.url,
                headers=workers.authorization("alice"),
                limits=limits,
                timeout=scaled(60),
            ) as client,
            timeout(60),
        ):
            sent = 0
            while await exits(workers, "recycled") < 2:
                answers = await asyncio.gather(*(client.get("/api/alice/tasks") for _ in range(8)))
                assert {answer.status_code for answer in answers} == {200}
                sent += 8
        assert await workers.value(REQUESTS, http_route=ROUTE, http_response_status_code="200") == sent


async def test_a_worker_that_hangs_is_killed_counted_and_replaced(tmp_path: Path, database_url: str) -> None:
    async with run_workers(tmp_path, database_url, workers=1, worker_timeout_seconds=3) as workers:
        hung = workers.children()
        os.kill(hung[0], signal.SIGSTOP)
        await poll_until(lambda: workers.children() not in (hung, []), what="another worker is there")
        ended = await poll_until(
            lambda: exits(workers, "timeout"), what="the end is counted", retried=(httpx.TransportError,)
        )
        assert ended == 1


async def test_a_stop_lets_requests_end_and_every_worker_close_its_pool(
    tmp_path: Path, database_url: str
) -> None:
    blocker = await asyncpg.connect(database_url)
    async with run_workers(tmp_path, database_url, workers=2) as workers:
        await create_tasks(workers, 1)  # the user is known and the blocked statement the only one
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            under_way = asyncio.create_task(create_tasks(workers, 1))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            await poll_until(lambda: blocker.fetchval(waiting), what="a statement waits for the lock")
            workers.process.send_signal(signal.SIGTERM)
            await poll_until(lambda: "Handling signal: term" in workers.log.read_text(), what="it stops")
        await under_way
        assert await workers.stop() == 0
    await blocker.close()
    ends = [line for line in workers.lines() if line["event"] == "Application shutdown complete."]
    assert len(ends) == 2


async def test_sigint_stops_the_service(tmp_path: Path, database_url: str) -> None:
    async with run_workers(tmp_path, database_url, graceful_timeout_seconds=60) as workers:
        workers.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(workers.process.wait(), scaled(20)) == 0
    assert "Application shutdown complete." in [line["event"] for line in workers.lines()]


async def test_drain_reaches_every_worker_and_probes_are_not_public(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        run_workers(tmp_path, database_url, through_command=True, workers=2) as workers,
        httpx.AsyncClient(timeout=scaled(60)) as client,
    ):
        for path in ("/metrics", "/livez", "/readyz"):
            assert (await client.get(workers.url + path)).status_code == 404
            assert (await client.get(workers.ops_url + path)).status_code == 200
            assert (await client.head(workers.ops_url + path)).status_code == 200
        assert (await client.head(f"{workers.url}/health")).status_code == 200
        assert (await client.get(f"{workers.url}/health")).json() == {"status": "ok"}
        assert (await client.get(f"{workers.ops_url}/api/alice/tasks")).status_code == 404
        environment = {**os.environ, "RUN_DIR": str(workers.run_dir), "OPS_PORT": str(workers.ops_port)}

        def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", f"backend.platform.server.{module}", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        assert (await asyncio.to_thread(run, "healthcheck", "/readyz")).returncode == 0
        assert (await asyncio.to_thread(run, "drain", "0.5")).returncode == 0
        for _ in range(10):
            ready = await client.get(f"{workers.ops_url}/readyz", headers={"Connection": "close"})
            assert (ready.status_code, ready.json()["reason"]) == (503, "draining")
            answer = await client.get(f"{workers.url}/health")
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert (await client.get(f"{workers.ops_url}/livez")).status_code == 200
        probe = await asyncio.to_thread(run, "healthcheck", "/readyz")
        assert probe.returncode == 1
        assert re.match(r"healthcheck: /readyz responds with 503: .*draining", probe.stderr)


async def test_schema_that_is_behind_is_rejected_in_one_line(tmp_path: Path, empty_database_url: str) -> None:
    with pytest.raises(AssertionError, match="behind: run `task-service migrate` first"):
        async with run_workers(tmp_path, empty_database_url, through_command=True):
            pass
    assert len((tmp_path / "log").read_text().splitlines()) == 1


async def test_invalid_setting_is_rejected_in_one_line(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(AssertionError, match="task-service: WORKERS: Input should be less than"):
        async with run_workers(tmp_path, database_url, through_command=True, workers=1000):
            pass
    assert len((tmp_path / "log").read_text().splitlines()) == 1
