"""Traces out of a cluster: the last ones arrive, and a collector that is gone costs no request anything."""

import asyncio
import json
from time import perf_counter
from typing import Any

import pytest

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, kubectl, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(300)]

API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"


def start_jaeger(namespace: Namespace, image: str) -> None:
    kubectl("-n", namespace.outside, "create", "deployment", "jaeger", f"--image={image}")
    kubectl("-n", namespace.outside, "expose", "deployment", "jaeger", "--port=4318")
    kubectl("-n", namespace.outside, "rollout", "status", "deployment/jaeger", "--timeout=60s")


def traces(namespace: Namespace) -> list[Any]:
    address = kubectl(
        "-n",
        namespace.outside,
        "get",
        "pods",
        "--selector=app=jaeger",
        "-o",
        "jsonpath={.items[0].status.podIP}",
    )
    status, text = namespace.call(f"http://{address}:16686/api/traces?service=task-service&limit=1000")
    assert status == 200, text
    found: list[Any] = json.loads(text)["data"]
    return found


async def test_last_spans_arrive_and_a_collector_that_is_gone_costs_nothing(
    namespace: Namespace, images: Images
) -> None:
    await asyncio.to_thread(start_jaeger, namespace, images.jaeger)
    endpoint = f"http://jaeger.{namespace.outside}:4318"
    await asyncio.to_thread(
        namespace.upgrade, "demo", f"tracing.endpoint={endpoint}", "tracing.sampleRatio=1", "replicas=1"
    )
    service = f"http://demo-task-service.{namespace.name}/api/alice/tasks"
    assert namespace.call(service, method="POST", body='{"title": "Buy milk"}')[0] == 201
    # Before the next batch would be sent: only a shutdown that is carried out sends it.
    namespace.kubectl("delete", "pod", API)
    found = wait_until(lambda: traces(namespace), 30, what="the spans of the pod that went")
    names = {span["operationName"] for trace in found for span in trace["spans"]}
    assert names >= {"POST /api/{user_id}/tasks", "create task", "insert task"}
    tags = {tag["key"]: tag["value"] for process in found[0]["processes"].values() for tag in process["tags"]}
    assert tags["k8s.namespace.name"] == namespace.name
    assert tags["k8s.pod.name"].startswith("demo-task-service-")

    wait_until(lambda: namespace.call(service)[0] == 200, 60, what="the new pod serves")
    kubectl("-n", namespace.outside, "scale", "deployment/jaeger", "--replicas=0")
    async with namespace.load() as load:
        await asyncio.sleep(10)
        started = perf_counter()
        await asyncio.to_thread(namespace.kubectl, "rollout", "restart", "deployment/demo-task-service")
        await asyncio.to_thread(namespace.kubectl, "rollout", "status", "deployment/demo-task-service")
        await asyncio.to_thread(
            wait_until, lambda: len(namespace.get("pods", API)) == 1, 40, what="the old pod is gone"
        )
        seen = await load.end()
    print(f"collector gone; old pod gone after {perf_counter() - started:.0f} s: {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    assert seen.percentile(0.99) < 1
    namespace.helm("uninstall", "demo", "--wait")
