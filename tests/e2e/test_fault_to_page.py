"""From a fault to its page and back: real pods, a real Prometheus, and the chart's rules with shorter windows."""

import asyncio
import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, kubectl, wait_until
from tests.support.helm import CHART
from tests.support.prometheus import require_prometheus
from tests.support.waiting import scaled

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(600)]

SCALES = {"trial": 0.02, "demo": 0.05}
"""By release, of every window: five minutes are 6 or 15 seconds."""

SLACK_SECONDS = 45
"""What a slow machine may need beyond an alert's windows."""

CONFIGURATION = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
    "rule_files": ["rules-*.yaml"],
    "scrape_configs": [{"job_name": "pods", "file_sd_configs": [{"files": ["targets.json"]}]}],
}


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that listens on `url`."""

    url: str

    def ask(self, path: str, **query: str) -> Any:
        """Return what its API has under a path."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=scaled(10))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def value(self, query: str) -> float:
        """Return a query's only value, 0 where there is none."""
        found = self.ask("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def firing(self, release: str) -> set[str]:
        """Return the names of a release's alerts that fire."""
        return {
            alert["labels"]["alertname"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == "firing" and alert["labels"].get("job") == release
        }


def rules(namespace: Namespace, release: str) -> str:
    """Return the rules as the chart renders them for a release, in the form of a rule file."""
    text = namespace.helm(
        *("template", release, str(CHART), "--show-only=templates/prometheusrule.yaml"),
        *namespace.options("monitoring.prometheusRule.enabled=true"),
        f"--set-json=monitoring.slo.windowScale={SCALES[release]}",
    ).stdout
    return yaml.safe_dump(yaml.safe_load(text)["spec"])


def write_targets(namespace: Namespace, api_server: str, file: Path) -> None:
    """Write each pod that the PodMonitor would find, its ops port read by way of the API server."""
    pods = httpx.get(
        f"http://{api_server}/api/v1/namespaces/{namespace.name}/pods",
        params={"labelSelector": "app.kubernetes.io/component=api"},
    ).json()["items"]
    targets = [
        {
            "targets": [api_server],
            "labels": {
                "__metrics_path__": f"/api/v1/namespaces/{namespace.name}/pods/{pod['metadata']['name']}:9000/proxy/metrics",
                "job": pod["metadata"]["labels"]["app.kubernetes.io/instance"],
                "namespace": namespace.name,
                "pod": pod["metadata"]["name"],
                "instance": pod["metadata"]["name"],
            },
        }
        for pod in pods
    ]
    new = file.with_suffix(".new")
    new.write_text(json.dumps(targets))
    new.replace(file)


@contextlib.contextmanager
def discovery(namespace: Namespace, api_server: str, file: Path) -> Iterator[None]:
    """Keep the targets up to date until the block ends: not every build of Prometheus knows Kubernetes."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(1):
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):  # the next second says it again
                write_targets(namespace, api_server, file)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def running(log: Path, *command: str, address: str) -> Iterator[str]:
    """Run a server until the block ends; yield where it says that it listens."""
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:

            def says() -> str:
                assert process.poll() is None, log.read_text()
                return found[1] if (found := re.search(address, log.read_text())) else ""

            yield wait_until(says, SLACK_SECONDS, what=f"{command[0]} listens")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def prometheus(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    require_prometheus()
    folder: Path = tmp_path_factory.mktemp("prometheus")
    for release in SCALES:
        (folder / f"rules-{release}.yaml").write_text(rules(namespace, release))
    proxy = ("kubectl", "proxy", "--port=0")
    with running(folder / "proxy.log", *proxy, address=r"serve on (\S+)") as api_server:
        (folder / "prometheus.yaml").write_text(json.dumps(CONFIGURATION))
        with (
            discovery(namespace, api_server, folder / "targets.json"),
            running(
                folder / "prometheus.log",
                *(
                    "prometheus",
                    f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={folder}/data",
                ),
                *("--web.listen-address=127.0.0.1:0", "--log.level=info"),
                address=r"Listening on\" address=(\S+)",
            ) as address,
        ):
            yield Prometheus(f"http://{address}")


async def until(ask: Callable[[], bool], release: str, minutes: float = 0, *, what: str) -> None:
    """Wait as long as these minutes of the release's rules allow."""
    seconds = minutes * 60 * SCALES[release] + SLACK_SECONDS
    await asyncio.to_thread(wait_until, ask, seconds, what=what)


async def test_a_release_that_fails_pages_and_its_rollback_clears_the_page(
    namespace: Namespace, images: Images, prometheus: Prometheus
) -> None:
    """One request in five fails. Faults exist in development only, as it is with a database of its own."""
    alert = "TaskServiceErrorBudgetBurnsFast"
    values = (
        *(
            "database.embedded.enabled=true",
            f"database.embedded.image={images.postgres}",
            "database.existingSecret=",
        ),
        *("replicas=1", "preStopSeconds=1"),
    )
    await asyncio.to_thread(namespace.upgrade, "trial", *values)
    async with namespace.load("trial", clients=2) as load:
        await until(
            lambda: prometheus.value('job:slo_requests:rate1h{job="trial",slo="availability"}') > 0,
            "trial",
            what="requests are recorded",
        )
        assert prometheus.firing("trial") == set()
        started = perf_counter()
        await asyncio.to_thread(namespace.upgrade, "trial", *values, "config.FAULT_ERROR_RATE=0.2")
        injected = perf_counter() - started
        await until(lambda: alert in prometheus.firing("trial"), "trial", 5 + 1, what="it pages")
        fired = perf_counter() - started
        started = perf_counter()
        await asyncio.to_thread(namespace.helm, "rollback", "trial", "--wait", "--timeout=180s")
        rolled_back = perf_counter() - started
        # The slower of its two pairs of windows looks back half an hour.
        await until(lambda: alert not in prometheus.firing("trial"), "trial", 30, what="the page clears")
        cleared = perf_counter() - started
        seen = await load.end()
    print(
        f"20 % of requests fail: rolled out in {injected:.0f} s, {alert} after {fired:.0f} s; "
        f"rolled back in {rolled_back:.0f} s, clear after {cleared:.0f} s; {seen.figures()}"
    )
    assert set(seen.statuses) == {200, 201, 500}
    await asyncio.to_thread(namespace.helm, "uninstall", "trial", "--wait")


@pytest.fixture(scope="module")
def demo(namespace: Namespace) -> Namespace:
    # Readiness must not take the pod out of the Service: users' requests are what finds the database away.
    namespace.upgrade("demo", "replicas=1", "database.readiness=off", "config.WORKER_TIMEOUT_SECONDS=5")
    return namespace


def scale_database(namespace: Namespace, replicas: int) -> None:
    kubectl("-n", namespace.outside, "scale", "deployment/postgres", f"--replicas={replicas}")
    wanted = "--for=condition=Available" if replicas else "--for=delete"
    what = ("deployment/postgres",) if replicas else ("pod", "--selector=app=postgres")
    kubectl("-n", namespace.outside, "wait", wanted, *what, "--timeout=90s")


async def test_a_database_that_goes_pages_and_its_return_clears_the_page(
    demo: Namespace, prometheus: Prometheus
) -> None:
    alert = "TaskServiceDatabaseUnavailable"
    async with demo.load(clients=2) as load:
        await until(lambda: prometheus.value('up{job="demo"}') == 1, "demo", what="the pod is scraped")
        assert alert not in prometheus.firing("demo")
        started = perf_counter()
        try:
            await asyncio.to_thread(scale_database, demo, 0)
            gone = perf_counter() - started
            await until(lambda: alert in prometheus.firing("demo"), "demo", 2 + 1, what="it pages")
            fired = perf_counter() - started
        finally:
            started = perf_counter()
            await asyncio.to_thread(scale_database, demo, 1)
        back = perf_counter() - started
        await until(lambda: alert not in prometheus.firing("demo"), "demo", 2, what="the page clears")
        cleared = perf_counter() - started
        seen = await load.end()
    print(
        f"the database goes: gone in {gone:.0f} s, {alert} after {fired:.0f} s; "
        f"back in {back:.0f} s, clear after {cleared:.0f} s; {seen.figures()}"
    )
    assert 503 in seen.statuses


_STALL = "import os; w=open('/proc/1/task/1/children').read().split(); os.kill(int(w[0]), 19)"


async def test_workers_that_hang_again_and_again_raise_their_alert_and_no_other_cause(
    demo: Namespace, prometheus: Prometheus
) -> None:
    alert = "TaskServiceWorkerCrashLoop"
    exits = 'sum(gunicorn_worker_exits_total{job="demo",reason="timeout"})'
    await until(lambda: prometheus.value('up{job="demo"}') == 1, "demo", what="the pod is scraped")
    assert alert not in prometheus.firing("demo")
    started = perf_counter()
    for number in range(1, 9):
        await asyncio.to_thread(
            demo.kubectl, "exec", "deployment/demo-task-service", "-c", "api", "--", "python", "-c", _STALL
        )
        await until(
            lambda number=number: prometheus.value(exits) >= number,  # type: ignore[misc]  # a default binds it
            "demo",
            what=f"{number} workers hung and were replaced",
        )
        if number >= 3 and alert in prometheus.firing("demo"):
            break
    await until(lambda: alert in prometheus.firing("demo"), "demo", what="it fires")
    fired = perf_counter() - started
    causes = prometheus.firing("demo") & {
        "TaskServiceDatabaseUnavailable",
        "TaskServiceAbsent",
        "TaskServiceKeySetStale",
    }
    started = perf_counter()
    await until(lambda: alert not in prometheus.firing("demo"), "demo", 15, what="it clears")
    cleared = perf_counter() - started
    print(f"{number} workers hang: {alert} after {fired:.0f} s, clear {cleared:.0f} s after the last")
    assert causes == set()
