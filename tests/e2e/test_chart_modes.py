"""Modes and values of the chart that only a cluster can prove: keys of a frontend, policies, autoscaling, a lost database."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, kubectl, wait_until
from tests.support.helm import CHART, template
from tests.support.odd_values import extreme_values, odd_values

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "alg": "EdDSA",
    "kid": "k",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIuaZHZ8MQ",
}
FRONTEND = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/auth/jwks" else 404)
        self.end_headers()
        self.wfile.write({json.dumps({"keys": [KEY]}).encode()!r})
http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
"""
METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9000/metrics').read().decode())"
KEYS_FETCHED = "\nauth_key_set_last_success_timestamp_seconds"  # there after the first success
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}


def frontend(image: str) -> list[dict[str, Any]]:
    """Return a frontend as Next.js has it: a Service's port 80 leads to the pod's 3000."""
    labels = {"app": "frontend"}
    container = {"name": "frontend", "image": image, "command": ["python", "-c", FRONTEND]}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "frontend"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "frontend"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 3000}]},
        },
    ]


@pytest.fixture(scope="module")
def release(namespace: Namespace, images: Images) -> Iterator[Namespace]:
    """A release that knows its tokens by a frontend's key set, in a namespace where a policy denies everything."""
    kubectl("-n", namespace.outside, "apply", "-f", "-", text=yaml.safe_dump_all(frontend(images.current)))
    namespace.kubectl("apply", "-f", "-", text=json.dumps(DENY))
    # A Service whose variables (OPS_PORT=tcp://…) would be settings of the service.
    namespace.kubectl("create", "service", "clusterip", "ops", "--tcp=80")
    # The database's certificate authority, as a file that the URL names.
    namespace.kubectl("create", "configmap", "ca", "--from-literal=ca.crt=none")
    url = namespace.database_url("tasks", "tasks") + "?sslmode=disable&sslrootcert=/etc/ca/ca.crt"
    namespace.secret("database", url=url)
    kubectl("-n", namespace.outside, "rollout", "status", "deployment/frontend", "--timeout=120s")
    upgrade(namespace)
    yield namespace
    namespace.helm("uninstall", "keys")


def upgrade(namespace: Namespace, *values: str, image: str | None = None) -> None:
    volume = ("extraVolumes[0].name=ca", "extraVolumes[0].configMap.name=ca")
    mount = ("extraVolumeMounts[0].name=ca", "extraVolumeMounts[0].mountPath=/etc/ca")
    frontend_url = f"auth.betterAuthUrl=http://frontend.{namespace.outside}"
    common = ("auth.existingSecret=", frontend_url, *volume, *mount, "replicas=2", "workers=1")
    namespace.upgrade("keys", *common, *values, image=image)


def replicas(namespace: Namespace) -> int:
    found: int = namespace.get("deployment", "keys-task-service")["spec"]["replicas"]
    return found


def test_helm_test_passes_with_a_frontends_keys_where_a_policy_denies_everything(release: Namespace) -> None:
    """The key set is reached at the pod's port 3000, which the URL of the Service does not name."""
    said = wait_until(
        lambda: said if "GET /health" in (said := release.helm("test", "keys", "--logs").stdout) else "",
        60,
        what="helm shows the test's log",
    )
    assert "GET /api/auth/jwks: 200" in said
    selector = "--selector=app.kubernetes.io/instance=keys,app.kubernetes.io/component=api"
    for pod in release.get("pods", selector):
        command = (pod["metadata"]["name"], "--container=api", "--", "python", "-c", METRICS)
        wait_until(
            lambda command=command: KEYS_FETCHED in release.kubectl("exec", *command),  # type: ignore[misc]  # a default binds it
            60,
            what="the pod has fetched the key set",
        )


def test_every_container_that_reads_the_url_has_the_files_that_it_names(release: Namespace) -> None:
    for kind in ("deployment", "job"):
        for each in release.get(kind, "--selector=app.kubernetes.io/instance=keys"):
            spec = each["spec"]["template"]["spec"]
            for container in spec.get("initContainers", []) + spec["containers"]:
                assert "/etc/ca" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_migration_that_ran_again_stands_in_no_release_s_way(release: Namespace, images: Images) -> None:
    def jobs() -> list[str]:
        selector = "--selector=app.kubernetes.io/instance=keys,app.kubernetes.io/component=migration"
        return [each["metadata"]["name"] for each in release.get("jobs", selector)]

    before = jobs()
    for suffix in ("1764120000", "1764120060"):
        arguments = ("upgrade", "keys", str(CHART), "--reuse-values", "--wait", "--timeout=180s")
        release.helm(*arguments, f"--set=migrations.nameSuffix={suffix}")
        assert [name for name in jobs() if name.endswith(suffix)]
        assert not set(before) & set(jobs())
    tag = images.following.rpartition(":")[2]
    release.helm(
        "upgrade", "keys", str(CHART), "--reuse-values", "--wait", "--timeout=180s", f"--set=image.tag={tag}"
    )


def test_no_pod_is_lost_when_autoscaling_is_switched_on_and_off(release: Namespace) -> None:
    """Every change of `spec.replicas` is watched, not only where it ends."""
    upgrade(release)
    watch = subprocess.Popen(
        ["kubectl", f"--namespace={release.name}", "get", "deployment", "keys-task-service", "--watch",
         "--output=jsonpath={.spec.replicas}{'\\n'}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        on = ("autoscaling.enabled=true", "autoscaling.minReplicas=3", "autoscaling.maxReplicas=3")
        upgrade(release, *on)
        wait_until(lambda: replicas(release) == 3, 120, what="the autoscaler has scaled")
        upgrade(release, *on, "config.LOG_LEVEL=WARNING")
        assert replicas(release) == 3
        upgrade(release)
        assert replicas(release) == 3
    finally:
        watch.terminate()
    seen = [int(line) for line in watch.communicate()[0].splitlines()]
    assert set(seen) == {2, 3}
    assert seen == sorted(seen)
    # The field is the autoscaler's until it is taken back once (docs/operations.md).
    again = ("upgrade", "keys", str(CHART), "--reuse-values", "--wait", "--timeout=180s")
    assert "conflict" in release.helm(*again, check=False).stderr
    release.helm(*again, "--force-conflicts")
    assert replicas(release) == 2


def test_lost_embedded_database_is_migrated_again(namespace: Namespace, images: Images) -> None:
    values = (
        "database.existingSecret=",
        "auth.existingSecret=",
        "database.embedded.enabled=true",
        "replicas=1",
        "workers=1",
    )
    namespace.upgrade("trial", *values, f"database.embedded.image={images.postgres}")
    namespace.kubectl(
        "delete",
        "pod",
        "--selector=app.kubernetes.io/instance=trial,app.kubernetes.io/component=embedded-database",
    )
    selector = (
        "--selector=app.kubernetes.io/instance=trial,app.kubernetes.io/component=api",
        "--container=migrate-again",
    )
    namespace.logs(*selector, until="The database went from empty to", seconds=120)
    namespace.kubectl("wait", "--for=condition=Ready", "pod", selector[0], "--timeout=60s")
    namespace.helm("uninstall", "trial")


@pytest.mark.parametrize(
    "text", ["1e3", "20240101", "2024-01-01", "true", "null", "a: b", "a" * 63, "minimum", "maximum"]
)
def test_the_api_server_takes_odd_values(namespace: Namespace, text: str) -> None:
    """By its own strict validation; tests/deploy renders more texts, and what is refused there is not sent here."""
    known = {line.split()[-1] for line in kubectl("api-resources", "--no-headers").splitlines()}
    releases = extreme_values(text) if text in {"minimum", "maximum"} else odd_values(text)
    objects = []
    for number, values in enumerate(releases):
        rendered, refused = template(values, release=f"odd{number}", namespace=namespace.name)
        assert not refused or "validate.yaml" in refused
        for manifest in rendered:
            if manifest["kind"] == "Pod":  # admission asks for what a dry run does not make
                manifest["spec"].pop("priorityClassName", None)
                manifest["spec"]["serviceAccountName"] = "default"
            if manifest["kind"] in known - {"ExternalSecret"}:  # defined for a while by test_value_sets.py
                objects.append(manifest)
    assert objects
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
