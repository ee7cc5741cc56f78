"""A migration that fails, that takes long, that is rolled back over, that is disturbed: the service goes on."""

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
import yaml

from backend.db.schema import SCHEMA
from tests.e2e.conftest import MIGRATION_SECONDS, Images, discard
from tests.support.cluster import Namespace, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"
MIGRATION = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=migration"


@pytest.fixture
def demo(namespace: Namespace) -> Iterator[Namespace]:
    """A release of this version on a schema of this version."""
    namespace.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    namespace.upgrade("demo")
    yield namespace
    discard(namespace, "demo")


def pods_of(namespace: Namespace, selector: str, image: str) -> list[Any]:
    return [
        pod
        for pod in namespace.get("pods", selector)
        if pod["spec"]["containers"][0]["image"] == image and "deletionTimestamp" not in pod["metadata"]
    ]


def gate_of(pod: Any) -> Any:
    return pod["status"].get("initContainerStatuses", [{}])[0].get("state", {})


def serving_images(namespace: Namespace) -> set[str]:
    return {
        pod["spec"]["containers"][0]["image"]
        for pod in namespace.get("pods", API)
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", [])
        )
    }


@pytest.mark.serial
async def test_failing_migration_leaves_the_old_release_serving_and_is_rolled_back(
    demo: Namespace, images: Images
) -> None:
    started = perf_counter()
    async with demo.load() as load:
        upgrading = asyncio.create_task(
            asyncio.to_thread(
                demo.upgrade,
                "demo",
                image=images.broken,
                flags=("--wait", "--rollback-on-failure", "--timeout=40s"),
                check=False,
            )
        )
        failed = await asyncio.to_thread(
            wait_until,
            lambda: [job for job in demo.get("jobs", MIGRATION) if job["status"].get("failed")],
            40,
            what="the Job failed",
        )
        conditions = {one["type"]: one.get("reason") for one in failed[0]["status"].get("conditions", [])}
        held = pods_of(demo, API, images.broken)
        assert held
        assert all("running" in gate_of(pod) for pod in held)
        assert serving_images(demo) == {images.current}
        result = await upgrading
        seen = await load.end()
    print(f"failing migration: rolled back after {perf_counter() - started:.0f} s: {seen.figures()}")
    assert result.returncode != 0
    # One try: the same migration would fail again.
    assert failed[0]["status"]["failed"] == 1
    assert conditions.get("Failed", "PodFailurePolicy") == "PodFailurePolicy"
    assert serving_images(demo) == {images.current}
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    assert demo.sql("SELECT version_num FROM alembic_version") == [SCHEMA.head_revision]


@pytest.mark.serial
async def test_long_migration_restarts_nobody_and_then_rolls_out(demo: Namespace, images: Images) -> None:
    started = perf_counter()
    async with demo.load() as load:
        await asyncio.to_thread(demo.upgrade, "demo", image=images.slow)
        seen = await load.end()
    print(
        f"migration of {MIGRATION_SECONDS} s: rolled out after {perf_counter() - started:.0f} s: {seen.figures()}"
    )
    assert perf_counter() - started > MIGRATION_SECONDS
    assert serving_images(demo) == {images.slow}
    restarts = [
        status["restartCount"]
        for pod in demo.get("pods", API)
        for status in pod["status"]["containerStatuses"] + pod["status"]["initContainerStatuses"]
    ]
    assert set(restarts) == {0}
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    demo.assert_stored_once(seen)


@pytest.mark.serial
async def test_release_rolls_back_while_the_database_stays_ahead(demo: Namespace, images: Images) -> None:
    started = perf_counter()
    async with demo.load() as load:
        await asyncio.to_thread(demo.upgrade, "demo", image=images.following)
        # Read while it happens: the logs of what has ended may be gone soon.
        said = [
            asyncio.create_task(
                asyncio.to_thread(demo.logs, *source, until="The database is ahead", seconds=90)
            )
            for source in ((MIGRATION,), (API, "--container=wait-for-schema"))
        ]
        await asyncio.to_thread(demo.helm, "rollback", "demo", "--wait", "--timeout=120s")
        await asyncio.gather(*said)
        # An old pod that dies now has to start again on the newer schema.
        await asyncio.to_thread(
            demo.kubectl, "delete", "pod", pods_of(demo, API, images.current)[0]["metadata"]["name"]
        )
        await asyncio.to_thread(
            demo.kubectl, "rollout", "status", "deployment/demo-task-service", "--timeout=60s"
        )
        seen = await load.end()
    print(f"upgrade, rollback, a killed pod: {perf_counter() - started:.0f} s: {seen.figures()}")
    assert serving_images(demo) == {images.current}
    assert demo.sql("SELECT version_num FROM alembic_version") == ["e2e_following"]
    assert seen.lost == []
    assert set(seen.statuses) == {200, 201}
    demo.assert_stored_once(seen)


def test_two_migrations_at_once_take_turns_and_an_eviction_does_not_count(
    demo: Namespace, images: Images
) -> None:
    """Two Jobs of a slow migration, side by side; the pod of one is evicted half way."""
    jobs = []
    for suffix in ("one", "two"):
        rendered = demo.helm(
            "template", "demo", "charts/task-service", *demo.options(f"migrations.nameSuffix={suffix}", image=images.slow),
            "--show-only=templates/migration-job.yaml",
        ).stdout  # fmt: skip
        demo.kubectl("apply", "-f", "-", text=rendered)
        jobs.append(yaml.safe_load(rendered)["metadata"]["name"])

    def running() -> list[Any]:
        return [p for p in pods_of(demo, MIGRATION, images.slow) if p["status"]["phase"] == "Running"]

    wait_until(lambda: len(running()) == 2, 30, what="both run")
    wait_until(
        lambda: demo.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"),
        20,
        what="one has the lock",
    )
    name = running()[0]["metadata"]["name"]
    eviction = f'{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{name}"}}}}'
    demo.kubectl(
        "create", "--raw", f"/api/v1/namespaces/{demo.name}/pods/{name}/eviction", "-f", "-", text=eviction
    )
    for job in jobs:
        demo.kubectl("wait", "--for=condition=Complete", f"job/{job}", "--timeout=120s")
    assert demo.sql("SELECT version_num FROM alembic_version") == ["e2e_slow"]
    ended = [each["status"] for each in demo.get("jobs", MIGRATION) if each["metadata"]["name"] in jobs]
    assert [(status["succeeded"], status.get("failed", 0)) for status in ended] == [(1, 0), (1, 0)]
    demo.kubectl("delete", "job", *jobs)
