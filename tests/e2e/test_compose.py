"""`docker compose up`: the whole service on one machine, watched, and outliving its database's absence."""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.config import Settings
from backend.devtools.development_token import make_token
from tests.support.docker import Compose, configured_checkout, docker, require_docker, wait_for
from tests.support.load import run_load
from tests.support.waiting import scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PARENT_TRACE = "0af7651916cd43dd8448eb211c80319c"


PASSWORD = r"""a/b#c@d$e${f}%41?g:h"i j\k&l=m'n"""
"""Every character that has a meaning in a URL, in a shell or in `.env`."""


class Deployment:
    """The running project, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: str(free_port()) for name in ("PORT", "PROMETHEUS_PORT", "JAEGER_PORT")}
        secret = configured_checkout(folder, PASSWORD)
        self.compose = Compose(
            f"task-service-test-{secrets.token_hex(4)}",
            {
                # What a registry holds, or its stand-in: any recent version will do here.
                "PROMETHEUS_IMAGE": os.environ.get("PROMETHEUS_IMAGE", "prom/prometheus"),
                "JAEGER_IMAGE": os.environ.get("JAEGER_IMAGE", "jaegertracing/all-in-one"),
                "TRACING_ENDPOINT": "http://jaeger:4318",
                **self.ports,
            },
            folder=folder,
            options=("--profile=obs",),
        )
        token = make_token(Settings(better_auth_secret=secret), "alice", lifetime_seconds=3600)
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports['PORT']}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=scaled(5),
        )

    def up(self) -> None:
        # Grafana's image cannot be had everywhere; its provisioning is checked apart.
        self.compose("up", "--build", "--wait", "--detach", "db", "migrate", "api", check=False)
        self.compose("up", "--detach", "--build", "prometheus", "jaeger")
        wait_for(lambda: self.compose.states()["api"]["Health"] == "healthy" or None, 60)

    def ask(self, port: str, path: str, **query: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.ports[port]}{path}", params=query, timeout=scaled(5)).json()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    require_docker()
    deployment = Deployment(tmp_path_factory.mktemp("checkout"))
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.client.close()
        deployment.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


def test_it_migrates_once_then_serves_hardened(deployment: Deployment) -> None:
    states = deployment.compose.states()
    assert (states["migrate"]["State"], states["migrate"]["ExitCode"]) == ("exited", 0)
    container = states["api"]["ID"]
    template = (
        "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}}"
    )
    assert docker("inspect", container, "--format", template).strip() == (
        "true [ALL] [no-new-privileges:true] 10001:10001"
    )
    assert '"level":"error"' not in deployment.compose("logs", "api")


def test_a_request_leads_to_series_and_to_a_trace_of_http_service_and_sql(deployment: Deployment) -> None:
    parent = f"00-{PARENT_TRACE}-b7ad6b7169203331-01"
    answer = deployment.client.post(
        "/api/alice/tasks", json={"title": "planted-task-text"}, headers={"traceparent": parent}
    )
    assert answer.status_code == 201

    def trace() -> list[dict[str, Any]] | None:
        found = deployment.ask("JAEGER_PORT", f"/api/traces/{PARENT_TRACE}")["data"]
        return found[0]["spans"] if found else None

    spans = wait_for(trace, 30)
    names = {span["operationName"] for span in spans}
    assert names >= {"POST /api/{user_id}/tasks", "create task", "insert task"}
    assert "planted-task-text" not in str(spans)

    query = 'tasks_created_total{job="task-service"}'
    wait_for(
        lambda: deployment.ask("PROMETHEUS_PORT", "/api/v1/query", query=query)["data"]["result"] or None, 30
    )

    def exemplars() -> Any:
        found = deployment.ask(
            "PROMETHEUS_PORT",
            "/api/v1/query_exemplars",
            query="http_server_request_duration_seconds_bucket",
            start=str(time.time() - 300),
            end=str(time.time() + 60),
        )["data"]
        return found if PARENT_TRACE in str(found) else None

    wait_for(exemplars, 30)
    logs = deployment.compose("logs", "api")
    assert f'"trace_id":"{PARENT_TRACE}"' in logs
    assert "planted-task-text" not in logs


def test_down_and_up_again_keeps_the_tasks(deployment: Deployment) -> None:
    created = deployment.client.post("/api/alice/tasks", json={"title": "keep me"}).json()
    deployment.compose("down", "--timeout", "30")
    deployment.up()
    assert deployment.client.get(f"/api/alice/tasks/{created['id']}").json() == created


def test_requests_get_503_while_the_database_is_stopped_and_succeed_afterwards(
    deployment: Deployment,
) -> None:
    deployment.compose("stop", "db")
    started = time.monotonic()
    answer = deployment.client.get("/api/alice/tasks")
    seconds = time.monotonic() - started
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "retry-after" in answer.headers
    assert deployment.client.get("/health").status_code == 200
    deployment.compose("start", "db")
    started = time.monotonic()
    wait_for(lambda: deployment.client.get("/api/alice/tasks").status_code == 200 or None, 15)
    recovery = time.monotonic() - started
    print(f"compose: 503 in {seconds:.2f} s, well {recovery:.1f} s after the database's start")
    restarts = docker("inspect", deployment.compose.states()["api"]["ID"], "--format", "{{.RestartCount}}")
    assert restarts.strip() == "0"


@pytest.mark.serial
async def test_the_database_stopped_under_load_loses_nothing_that_was_acknowledged(
    deployment: Deployment,
) -> None:
    headers = {"Authorization": deployment.client.headers["authorization"]}
    async with run_load(
        int(deployment.ports["PORT"]), headers, "/api/alice/tasks", clients=10, pause_seconds=0.02
    ) as load:
        await asyncio.sleep(2)
        await asyncio.to_thread(deployment.compose, "stop", "db")
        await asyncio.sleep(8)
        await asyncio.to_thread(deployment.compose, "start", "db")
        while deployment.client.get("/api/alice/tasks").status_code != 200:  # noqa: ASYNC110 - the state is the server's
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
    print(f"compose, database stopped under load: {dict(load.statuses)}, {len(load.lost)} lost")
    assert load.lost == []
    assert set(load.statuses) == {200, 201, 503}
    query = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U tasks -d tasks -qAt -c "SELECT title FROM tasks"'
    rows = deployment.compose("exec", "-T", "db", "sh", "-c", query)
    stored = Counter(rows.split("\n"))
    assert {title for title in load.acknowledged if stored[title] != 1} == set()
