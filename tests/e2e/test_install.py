"""Every way to install ends with a service that is ready, one migration, and nothing left after its removal."""

import json
from time import perf_counter

import pytest
import yaml

from tests.e2e.conftest import KINDS, Images, uninstall
from tests.support.cluster import Namespace, wait_until
from tests.support.helm import CHART

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def migrations_of(namespace: Namespace, release: str) -> list[int]:
    """Return how often each of the release's migration Jobs succeeded."""
    selector = f"--selector=app.kubernetes.io/instance={release},app.kubernetes.io/component=migration"
    return [job["status"].get("succeeded", 0) for job in namespace.get("jobs", selector)]


def helm_test(namespace: Namespace, release: str) -> str:
    """Return what `helm test` says; a failed test is a failed command, and a log that is not there yet is not."""
    return wait_until(
        lambda: said if "GET /health" in (said := namespace.helm("test", release, "--logs").stdout) else "",
        60,
        what="helm shows the test's log",
    )


def forget_tables(namespace: Namespace) -> None:
    namespace.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.mark.parametrize("flags", [("--wait",), ("--wait", "--rollback-on-failure"), ()], ids="-".join)
def test_first_install_is_ready_after_one_migration(namespace: Namespace, flags: tuple[str, ...]) -> None:
    forget_tables(namespace)
    started = perf_counter()
    namespace.upgrade("first", flags=flags)
    if not flags:
        namespace.kubectl("rollout", "status", "deployment/first-task-service", "--timeout=120s")
    print(f"helm install {' '.join(flags)}: ready after {perf_counter() - started:.1f} s")
    assert migrations_of(namespace, "first") == [1]
    status, _ = namespace.call(f"http://first-task-service.{namespace.name}/api/alice/tasks")
    assert status == 200
    uninstall(namespace, "first")


def test_plain_apply_works_in_any_order_and_twice(namespace: Namespace) -> None:
    forget_tables(namespace)
    rendered = namespace.helm("template", "plain", str(CHART), "--skip-tests", *namespace.options()).stdout
    manifests = list(yaml.safe_load_all(rendered))
    assert "Pod" not in {manifest["kind"] for manifest in manifests}
    # The hardest order: pods before all that they need.
    manifests.sort(key=lambda manifest: manifest["kind"] != "Deployment")
    text = yaml.safe_dump_all(manifests)
    namespace.kubectl("apply", "-f", "-", text=text)
    namespace.kubectl("rollout", "status", "deployment/plain-task-service", "--timeout=120s")

    def generations() -> dict[str, int]:
        return {
            f"{item['kind']}/{item['metadata']['name']}": item["metadata"].get("generation", 0)
            for item in namespace.get(KINDS, "--selector=app.kubernetes.io/instance=plain")
        }

    before = generations()
    namespace.kubectl("apply", "-f", "-", text=text)
    assert generations() == before
    assert migrations_of(namespace, "plain") == [1]
    namespace.kubectl("delete", "-f", "-", text=text)


def test_it_runs_restricted_under_any_user_and_logs_no_error(namespace: Namespace) -> None:
    namespace.upgrade(
        "anyone",
        "replicas=1",
        "podSecurityContext.runAsUser=1234567",
        "podSecurityContext.runAsGroup=1234567",
        "podSecurityContext.fsGroup=1234567",
    )
    status, text = namespace.call(
        f"http://anyone-task-service.{namespace.name}/api/alice/tasks",
        method="POST",
        body='{"title": "Buy milk"}',
    )
    assert status == 201, text
    selector = "--selector=app.kubernetes.io/instance=anyone,app.kubernetes.io/component=api"
    text = namespace.logs(selector, until='"route":"/api/{user_id}/tasks"')
    events = [json.loads(line) for line in text.splitlines()]
    # A slow machine can delay the first answer of the database.
    events = [event for event in events if event["event"] != "not ready"]
    assert [event for event in events if event["level"] not in {"info", "debug"}] == []
    uninstall(namespace, "anyone")


def test_trying_out_needs_one_value_and_helm_test_passes(namespace: Namespace, images: Images) -> None:
    repository, _, tag = images.current.rpartition(":")
    started = perf_counter()
    namespace.helm(
        *("install", "demo", str(CHART), "--wait", "--timeout=180s", "--set=database.embedded.enabled=true"),
        *(f"--set=image.repository={repository}", f"--set=image.tag={tag}"),
        *(f"--set=database.embedded.image={images.postgres}", "--set=resources.requests.cpu=100m"),
    )
    print(f"helm install with its own database: ready after {perf_counter() - started:.1f} s")
    said = helm_test(namespace, "demo")
    for line in (": 401", "/api/somebody-else/tasks: 403", ": 201", ": 204", "GET /metrics: 404"):
        assert line in said
    token = namespace.kubectl(
        "exec", "deployment/demo-task-service", "--", "task-service", "token", "--user", "alice"
    )
    assert token.count(".") == 2
    uninstall(namespace, "demo")


def test_helm_test_and_purge_succeed_in_production(namespace: Namespace) -> None:
    namespace.upgrade(
        "production", "replicas=1", "networkPolicy.from[0].podSelector.matchLabels.app=frontend"
    )
    assert ": 204" in helm_test(namespace, "production")
    namespace.kubectl("create", "job", "purge-now", "--from=cronjob/production-task-service-purge")
    namespace.kubectl("wait", "--for=condition=complete", "job/purge-now", "--timeout=120s")
    assert "Deleted 0 expired idempotency keys" in namespace.kubectl("logs", "job/purge-now")
    wait_until(
        lambda: namespace.get("cronjobs")[0]["status"].get("lastSuccessfulTime"),
        60,
        what="the CronJob has succeeded",
    )
    namespace.kubectl("delete", "job", "purge-now")
    uninstall(namespace, "production")


def test_network_policy_lets_in_and_out_what_it_should(namespace: Namespace) -> None:
    """The client's namespace is a stranger's until it is named as that of monitoring."""
    namespace.upgrade("guarded", "replicas=1")
    ip = namespace.get(
        "pods", "--selector=app.kubernetes.io/instance=guarded,app.kubernetes.io/component=api"
    )[0]["status"]["podIP"]
    service = f"http://guarded-task-service.{namespace.name}"
    assert namespace.call(f"{service}/health")[0] == 200
    assert namespace.call(f"{service}/metrics")[0] == 404
    assert namespace.call(f"{service}:9000/metrics")[0] != 200
    assert namespace.call(f"http://{ip}:9000/metrics")[0] == 0
    probe = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"
    api = ("exec", "deployment/guarded-task-service", "-c", "api", "--", "python", "-c", probe)
    assert namespace.kubectl(*api, f"postgres.{namespace.outside}", "5432") == ""
    with pytest.raises(AssertionError, match="timed out"):
        namespace.kubectl(*api, "kubernetes.default.svc", "443")
    monitoring = (
        "networkPolicy.monitoringFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name"
    )
    namespace.upgrade("guarded", "replicas=1", f"{monitoring}={namespace.outside}")
    wait_until(
        lambda: namespace.call(f"http://{ip}:9000/metrics")[0] == 200,
        20,
        what="monitoring may read the metrics",
    )
    uninstall(namespace, "guarded")
