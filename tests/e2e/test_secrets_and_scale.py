"""Password rotation and autoscaling lose no request."""

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from tests.e2e.conftest import discard
from tests.support.cluster import Namespace, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(600)]

API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"


@pytest.fixture
def demo(namespace: Namespace) -> Iterator[Namespace]:
    yield namespace
    discard(namespace, "demo")


async def test_password_is_rotated_under_load_without_a_restart_or_a_failed_request(demo: Namespace) -> None:
    """Alternate between two roles, as providers advise: the new one works before the old one is locked."""
    for role in ("blue", "green"):
        demo.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{role}' IN ROLE pg_read_all_data, pg_write_all_data")
    demo.secret("database", url=demo.database_url("blue", "blue"))
    demo.secret("owner", url=demo.database_url("tasks", "tasks"))
    await asyncio.to_thread(
        demo.upgrade, "demo", "migrations.database.existingSecret=owner", "database.pool.prewarmSize=0"
    )
    # One of another test may be on its way out.
    before = {
        pod["metadata"]["uid"] for pod in demo.get("pods", API) if "deletionTimestamp" not in pod["metadata"]
    }

    def shown(pod: Any) -> str:
        return demo.kubectl(
            "exec",
            pod["metadata"]["name"],
            "--container=api",
            "--",
            "python",
            "-c",
            "print(open('/etc/task-service/database-url').read())",
        )

    def roles() -> set[str]:
        return set(
            demo.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename IN ('blue', 'green')")
        )

    async with demo.load(clients=4) as load:
        await asyncio.to_thread(wait_until, lambda: roles() == {"blue"}, 10, what="the first role is used")
        started = perf_counter()
        demo.secret("database", url=demo.database_url("green", "green"))
        # A kubelet writes a changed Secret within about a minute, and at once where the pod changes.
        demo.kubectl("annotate", "pods", API, "secret=changed")
        await asyncio.to_thread(
            wait_until,
            lambda: all("green" in shown(pod) for pod in demo.get("pods", API)),
            150,
            what="the pods have the new file",
        )
        arrived = perf_counter() - started
        demo.sql("ALTER ROLE blue NOLOGIN")
        async with demo.load(clients=30) as crowd:  # more than there are connections
            await asyncio.to_thread(
                wait_until, lambda: "green" in roles(), 20, what="the second role is used"
            )
            await asyncio.sleep(2)  # it may have been before the crowd came
            more = await crowd.end()
        seen = await load.end()
    print(f"rotated: with the pods after {arrived:.0f} s: {seen.figures()}; {more.figures()}")
    for one in (seen, more):
        assert one.lost == []
        assert set(one.statuses) == {200, 201}
        demo.assert_stored_once(one)
    assert {pod["metadata"]["uid"] for pod in demo.get("pods", API)} == before
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in demo.get("pods", API)} == {0}
    demo.secret("database", url=demo.database_url("tasks", "tasks"))


async def test_pods_come_and_go_with_the_load_and_stay_within_the_connection_budget(demo: Namespace) -> None:
    budget = 1 * 10 * (4 + 1) + 1  # workers, connections of each, pods and surge; the purge
    await asyncio.to_thread(
        demo.upgrade,
        "demo",
        *(
            "workers=1",
            "database.pool.prewarmSize=1",
            "database.pool.maxSize=10",
            f"database.maxConnections={budget}",
        ),
        *("autoscaling.enabled=true", "autoscaling.maxReplicas=4"),
        "autoscaling.behavior.scaleDown.stabilizationWindowSeconds=5",
        *(
            "autoscaling.behavior.scaleDown.policies[0].type=Percent",
            "autoscaling.behavior.scaleDown.policies[0].value=100",
        ),
        *("autoscaling.behavior.scaleDown.policies[0].periodSeconds=5",),
    )
    connections: list[int] = []

    def pods() -> int:
        connections.append(
            int(
                demo.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tasks' AND application_name <> 'psql'"
                )[0]
            )
        )
        return sum("deletionTimestamp" not in pod["metadata"] for pod in demo.get("pods", API))

    started = perf_counter()
    async with demo.load(clients=20) as load:
        await asyncio.to_thread(wait_until, lambda: pods() == 4, 180, what="four pods")
        grown = perf_counter() - started
        await asyncio.to_thread(demo.kubectl, "rollout", "status", "deployment/demo-task-service")
        crowd = await load.end()
    async with demo.load(clients=1) as load:
        await asyncio.to_thread(wait_until, lambda: pods() == 2, 180, what="two pods")
        shrunk = perf_counter() - started
        await asyncio.sleep(5)
        few = await load.end()
    print(
        f"4 pods after {grown:.0f} s, 2 after {shrunk:.0f} s, up to {max(connections)} of {budget} connections: {crowd.figures()}; {few.figures()}"
    )
    for seen in (crowd, few):
        assert seen.lost == []
        assert set(seen.statuses) == {200, 201}
        demo.assert_stored_once(seen)
    assert max(connections) <= budget
