"""The responses that clients get while the database is stopped, its connections are cut, a node is drained, and workers hang or die."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from time import perf_counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import database_stopped, discard
from tests.support.cluster import Namespace, kubectl, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "30"))
API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"


@pytest.fixture
def demo(namespace: Namespace) -> Iterator[Namespace]:
    yield namespace
    discard(namespace, "demo")


def pods(namespace: Namespace) -> list[Any]:
    return [pod for pod in namespace.get("pods", API) if "deletionTimestamp" not in pod["metadata"]]


def other_node(namespace: Namespace) -> str:
    """Return the node that is not PostgreSQL's; the spread has one of the two pods there."""
    nodes: Counter[str] = Counter(pod["spec"]["nodeName"] for pod in pods(namespace))
    assert sorted(nodes.values()) == [1, 1], f"{nodes}\n{kubectl('describe', 'nodes')}"
    (node,) = nodes.keys() - {namespace.node}
    return node


def restarts(namespace: Namespace) -> int:
    return sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods(namespace))


def ready(namespace: Namespace) -> int:
    return sum(bool(pod["status"]["containerStatuses"][0]["ready"]) for pod in pods(namespace))


def failures(namespace: Namespace) -> str:
    """Return the lines of the log about requests that failed for good."""
    lines = namespace.logs(API, until='"event"').splitlines()
    return "\n".join(line for line in lines if '"level":"error"' in line or '"status":500' in line)


@contextlib.asynccontextmanager
async def drained(node: str, *, timeout_seconds: int) -> AsyncIterator[None]:
    """Evict the pods of a node, and let it take pods again at the end."""
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={timeout_seconds}s")
    try:
        await asyncio.to_thread(kubectl, "drain", node, *options)
        yield
    finally:
        await asyncio.to_thread(kubectl, "uncordon", node)


@pytest.mark.serial
async def test_stopped_database_is_503_and_restarts_no_pod(demo: Namespace) -> None:
    await asyncio.to_thread(
        demo.upgrade, "demo", "database.readiness=off", "config.DATABASE_POOL_ACQUIRE_TIMEOUT_SECONDS=1.5"
    )
    async with demo.load(clients=12) as load:
        async with database_stopped(demo):
            await asyncio.sleep(OUTAGE_SECONDS)
        returned = perf_counter()
        service = f"http://demo-task-service.{demo.name}/api/alice/tasks"
        await asyncio.to_thread(wait_until, lambda: demo.call(service)[0] == 200, 10, what="it serves again")
        recovery = perf_counter() - returned
        await asyncio.sleep(2)
        seen = await load.end()
    print(f"database stopped for {OUTAGE_SECONDS:.0f} s: recovered after {recovery:.1f} s: {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201, 503}, failures(demo)
    # The slowest were at a statement when the database went without a word.
    assert seen.percentile(0.99) < 2
    assert max(seen.seconds) < 7
    assert restarts(demo) == 0
    demo.assert_stored_once(seen)


@pytest.mark.serial
async def test_strict_readiness_takes_pods_out_and_still_lets_nodes_be_emptied(demo: Namespace) -> None:
    await asyncio.to_thread(demo.upgrade, "demo", "database.readiness=strict")
    emptied = other_node(demo)
    async with database_stopped(demo):
        await asyncio.to_thread(wait_until, lambda: ready(demo) == 0, 40, what="every pod is unready")
        started = perf_counter()
        async with drained(emptied, timeout_seconds=60):
            print(f"drain with every pod unready: {perf_counter() - started:.0f} s")
    await asyncio.to_thread(wait_until, lambda: ready(demo) == 2, 60, what="every pod is ready again")
    assert restarts(demo) == 0


@pytest.mark.serial
async def test_every_connection_cut_at_once_heals(demo: Namespace) -> None:
    await asyncio.to_thread(demo.upgrade, "demo")
    async with demo.load() as load:
        await asyncio.sleep(2)
        cut = await asyncio.to_thread(
            demo.sql,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()",
        )
        await asyncio.sleep(2)
        seen = await load.end()
    print(f"{len(cut)} connections cut: {seen.figures()}")
    assert len(cut) >= 8
    assert seen.lost == []
    assert set(seen.statuses) <= {200, 201, 503}
    # A write whose connection breaks cannot be retried: its outcome is unknown.
    assert seen.statuses[503] <= len(cut)
    demo.assert_stored_once(seen)


@pytest.mark.serial
async def test_emptying_a_node_loses_nothing(demo: Namespace) -> None:
    await asyncio.to_thread(demo.upgrade, "demo")
    emptied = other_node(demo)
    started = perf_counter()
    async with demo.load() as load:
        async with drained(emptied, timeout_seconds=120):
            await asyncio.to_thread(demo.kubectl, "rollout", "status", "deployment/demo-task-service")
        seen = await load.end()
    print(f"node emptied in {perf_counter() - started:.0f} s: {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    demo.assert_stored_once(seen)


def in_pod(namespace: Namespace, pod: str, program: str, *arguments: str) -> str:
    return namespace.kubectl("exec", pod, "--container=api", "--", "python", "-c", program, *arguments)


def metrics(namespace: Namespace, pod: str) -> dict[str, float]:
    """Return each metric's sum over its labels, and worker exits by reason."""
    program = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9000/metrics').read().decode())"
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(in_pod(namespace, pod, program)):
        for sample in family.samples:
            name = f"{sample.name} {sample.labels['reason']}" if "reason" in sample.labels else sample.name
            sums[name] = sums.get(name, 0) + sample.value
    return sums


def has_replaced(found: dict[str, float], reason: str) -> bool:
    return found[f"gunicorn_worker_exits_total {reason}"] == 1 and found["gunicorn_workers"] == 2


_SIGNAL = (
    "import os,sys; w=open('/proc/1/task/1/children').read().split(); os.kill(int(w[0]), int(sys.argv[1]))"
)
_FILES = "import os; print(len(os.listdir('/run/app/metrics')))"


async def test_killed_and_hung_workers_are_replaced_and_counts_never_go_back(demo: Namespace) -> None:
    await asyncio.to_thread(demo.upgrade, "demo", "replicas=1", "config.WORKER_TIMEOUT_SECONDS=5")
    pod = pods(demo)[0]["metadata"]["name"]
    service = f"http://demo-task-service.{demo.name}/api/alice/tasks"
    for _ in range(5):
        assert demo.call(service, method="POST", body='{"title": "Buy milk"}')[0] == 201
    before = metrics(demo, pod)
    assert before["tasks_created_total"] == 5
    for number, reason in (
        (9, "crashed"),
        (19, "timeout"),
    ):  # SIGKILL; SIGSTOP, which is how a hung one looks
        in_pod(demo, pod, _SIGNAL, str(number))
        started = perf_counter()
        wait_until(
            lambda reason=reason: has_replaced(metrics(demo, pod), reason),  # type: ignore[misc]  # a default binds it
            30,
            what=f"replaced after {reason}",
        )
        print(f"worker {reason}: replaced and counted after {perf_counter() - started:.1f} s")
    after = metrics(demo, pod)
    assert after["tasks_created_total"] == 5
    for name, value in before.items():
        if name.partition(" ")[0].endswith(("_total", "_count", "_bucket")):
            assert after[name] >= value, name
    assert restarts(demo) == 0
    assert int(in_pod(demo, pod, _FILES)) < 40
    assert demo.call(service)[0] == 200


async def test_container_that_starts_again_forgets_what_its_workers_left(demo: Namespace) -> None:
    """Its folders outlive it, and process ids repeat."""
    await asyncio.to_thread(demo.upgrade, "demo", "replicas=1")
    pod = pods(demo)[0]["metadata"]["name"]
    for _ in range(5):
        assert demo.call(f"http://demo-task-service.{demo.name}/api/alice/tasks")[0] == 200
    demo.kubectl("exec", pod, "--container=api", "--", "python", "-m", "backend.platform.server.drain", "0")
    in_pod(demo, pod, "import os, signal; os.kill(1, signal.SIGQUIT)")
    wait_until(
        lambda: restarts(demo) == 1 and ready(demo) == 1, 60, what="it started again, and drains no more"
    )
    found = metrics(demo, pod)
    assert found["gunicorn_workers"] == 2
    assert found["gunicorn_worker_exits_total stopped"] == 0
    assert found["http_server_active_requests"] == 0
    assert demo.call(f"http://demo-task-service.{demo.name}/api/alice/tasks")[0] == 200
