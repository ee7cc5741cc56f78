"""What the chart hands to a cluster."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import CHART, Manifest, helm, render, render_text, require_helm

PRODUCTION = ("database.existingSecret=database", "auth.existingSecret=auth")
EMBEDDED = ("database.embedded.enabled=true",)
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
ROOT = CHART.parents[1]


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


def pod(manifest: Manifest) -> Any:
    return manifest["spec"]["template"]["spec"]


def environment(container: Manifest) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container["env"]}


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda file: file.stem)
def test_every_value_set_passes_the_strict_linter(file: Path) -> None:
    result = helm("lint", "--strict", str(CHART), f"--values={file}", check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda file: file.stem)
def test_rendering_twice_gives_the_same_bytes(file: Path) -> None:
    assert render_text(files=(file,)) == render_text(files=(file,))


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda file: file.stem)
def test_every_pod_fits_pod_security_restricted(file: Path) -> None:
    pods = [pod(m) for m in render(files=(file,)).values() if m["kind"] in {"Deployment", "Job"}]
    assert pods
    for spec in pods:
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec.get("initContainers", []) + spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "cpu" not in container["resources"].get("limits", {})


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda file: file.stem)
def test_every_name_has_a_file_of_its_own(file: Path) -> None:
    """Two objects of one file would hide each other in a review."""
    seen: set[str] = set()
    for document in render_text(files=(file,)).split("\n---\n"):
        source = next((line for line in document.splitlines() if line.startswith("# Source: ")), None)
        if source is None or "extra-objects" in source:
            continue
        assert source not in seen
        seen.add(source)


def test_production_needs_two_secrets_and_nothing_else() -> None:
    objects = render(*PRODUCTION)
    assert set(objects) == {
        ("ServiceAccount", ""),
        ("Service", ""),
        ("Deployment", ""),
        ("PodDisruptionBudget", ""),
        ("NetworkPolicy", ""),
        ("NetworkPolicy", "migration"),
        ("NetworkPolicy", "purge"),
        ("NetworkPolicy", "test"),
        ("Pod", "test"),
        ("CronJob", "purge"),
        next(key for key in objects if key[0] == "Job"),
    }


def test_secrets_come_as_files_that_are_read_again() -> None:
    spec = pod(render(*PRODUCTION)["Deployment", ""])
    container = spec["containers"][0]
    variables = environment(container)
    assert variables["DATABASE_URL_FILE"] == "/etc/task-service/database-url"
    assert variables["BETTER_AUTH_SECRET_FILE"] == "/etc/task-service/auth-secret"
    assert {"DATABASE_URL", "BETTER_AUTH_SECRET"}.isdisjoint(variables)
    sources = next(volume for volume in spec["volumes"] if volume["name"] == "secrets")["projected"][
        "sources"
    ]
    assert [source["secret"]["name"] for source in sources] == ["database", "auth"]
    # A subPath would never be updated.
    assert all("subPath" not in mount for mount in container["volumeMounts"])


def test_migration_is_given_no_secret_of_tokens_and_a_role_of_its_own() -> None:
    objects = render(*PRODUCTION, "migrations.database.existingSecret=owner")
    job = next(manifest for (kind, _), manifest in objects.items() if kind == "Job")
    sources = pod(job)["volumes"][0]["projected"]["sources"]
    assert [source["secret"]["name"] for source in sources] == ["owner"]
    assert set(environment(pod(job)["containers"][0])) == {
        "ENVIRONMENT",
        "DATABASE_URL_FILE",
        "DATABASE_POOLER",
    }


def test_purge_has_the_url_of_the_migration_and_never_runs_twice_at_once() -> None:
    assert ("CronJob", "purge") not in render(*PRODUCTION, "purge.enabled=false")
    objects = render(*PRODUCTION, "migrations.database.existingSecret=owner", "purge.schedule=@hourly")
    spec = objects["CronJob", "purge"]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("@hourly", "Forbid")
    job = next(manifest for (kind, _), manifest in objects.items() if kind == "Job")
    of_purge, of_migration = pod(spec["jobTemplate"]), pod(job)
    assert of_purge["volumes"] == of_migration["volumes"]
    assert of_purge["securityContext"] == of_migration["securityContext"]
    (container,) = of_purge["containers"]
    assert container["args"] == ["purge-idempotency-keys"]
    same = ("image", "env", "securityContext", "volumeMounts", "resources")
    assert [container[key] for key in same] == [of_migration["containers"][0][key] for key in same]


def job_name(*values: str) -> str:
    return next(name for kind, name in render(*PRODUCTION, *values) if kind == "Job")


def test_job_is_a_new_one_exactly_when_its_specification_is() -> None:
    assert job_name() == job_name("replicas=5", "workers=4", "resources.requests.cpu=1")
    names = {
        job_name(*change)
        for change in (
            (),
            ("image.tag=2.0.0",),
            ("migrations.database.existingSecret=owner",),
            ("migrations.backoffLimit=5",),
            ("config.LOG_LEVEL=DEBUG",),
        )
    }
    assert len(names) == 5


def test_job_that_runs_again_is_a_new_one_at_the_next_release_too() -> None:
    """A suffix that `--reuse-values` keeps must not name a Job of another specification."""
    again = "migrations.nameSuffix=again"
    assert job_name(again) == f"{job_name()}-again"
    assert job_name(again, "image.tag=2.0.0") != job_name(again)


def test_job_s_name_fits_and_keeps_its_hash() -> None:
    long = ("fullnameOverride=a-name-of-exactly-forty-letters-in-all-x", "migrations.nameSuffix=1764120000")
    one, other = (
        next(name for kind, name in render(*PRODUCTION, *long, *more) if kind == "Job")
        for more in ((), ("image.tag=2.0.0",))
    )
    for name in (one, other):
        assert re.fullmatch(r"a-name-of-exactly-forty-letters-in-all-x-migrate-[0-9a-f]{10}", name)
    assert one != other


def test_job_is_no_hook_and_stays() -> None:
    job = next(manifest for (kind, _), manifest in render(*PRODUCTION).items() if kind == "Job")
    assert "annotations" not in job["metadata"]
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [3]


def test_gate_waits_as_long_as_the_migration_may_take() -> None:
    spec = pod(render(*PRODUCTION, "migrations.activeDeadlineSeconds=300")["Deployment", ""])
    assert spec["initContainers"][0]["args"] == ["wait-for-schema", "--timeout", "300"]


def test_operators_port_is_in_no_service_that_users_reach() -> None:
    objects = render(files=(CHART / "ci" / "production-values.yaml",))
    assert objects["ServiceMonitor", ""]["spec"]["endpoints"][0]["port"] == "ops"
    services = {name: m["spec"] for (kind, name), m in objects.items() if kind == "Service"}
    assert [port["targetPort"] for port in services[""]["ports"]] == ["http"]
    assert services["ops"]["clusterIP"] == "None"
    backends = yaml.dump(
        [
            m
            for (kind, _), m in render(files=(CHART / "ci" / "ingress-values.yaml",)).items()
            if kind == "Ingress"
        ]
    )
    assert "ops" not in backends
    assert "9000" not in backends


def test_autoscaler_owns_the_number_of_pods() -> None:
    objects = render(files=(CHART / "ci" / "autoscaling-values.yaml",))
    assert "replicas" not in objects["Deployment", ""]["spec"]
    assert objects["HorizontalPodAutoscaler", ""]["spec"]["maxReplicas"] == 6


def test_no_pod_is_missing_during_a_rollout_and_drains_are_never_blocked() -> None:
    objects = render(*PRODUCTION)
    assert objects["Deployment", ""]["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": 1,
        "maxUnavailable": 0,
    }
    assert objects["PodDisruptionBudget", ""]["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize("kind", ["ingress", "gateway"])
def test_frontends_own_path_goes_to_the_frontend_and_the_rest_to_us(kind: str) -> None:
    objects = render(files=(CHART / "ci" / f"{kind}-values.yaml",))
    if kind == "ingress":
        rule = objects["Ingress", ""]["spec"]["rules"][0]
        routes = [(path["path"], path["backend"]["service"]["name"]) for path in rule["http"]["paths"]]
    else:
        routes = [
            (match["path"]["value"], rule["backendRefs"][0]["name"])
            for rule in objects["HTTPRoute", ""]["spec"]["rules"]
            for match in rule["matches"]
        ]
    assert routes == [("/api/auth", "frontend"), ("/api", "demo-task-service")]


def test_every_selector_finds_only_its_own_pods() -> None:
    objects = render(files=(CHART / "ci" / "monitoring-values.yaml",))
    pods = {
        name or "api": m["spec"]["template"]["metadata"]["labels"]
        for (kind, name), m in objects.items()
        if kind in {"Deployment", "Job"}
    }
    assert len(pods) == 3

    def found(selector: dict[str, str]) -> list[str]:
        return [name for name, labels in pods.items() if selector.items() <= labels.items()]

    assert found(objects["Service", ""]["spec"]["selector"]) == ["api"]
    assert found(objects["Service", "embedded"]["spec"]["selector"]) == ["embedded"]
    for name in ("", "embedded"):
        assert found(objects["Deployment", name]["spec"]["selector"]["matchLabels"]) == [name or "api"]
    assert found(objects["PodDisruptionBudget", ""]["spec"]["selector"]["matchLabels"]) == ["api"]
    assert found(objects["PodMonitor", ""]["spec"]["selector"]["matchLabels"]) == ["api"]
    behind = render(files=(CHART / "ci" / "production-values.yaml",))["Service", "ops"]["spec"]["selector"]
    assert found(behind) == ["api"]


@pytest.mark.parametrize("release", ["a", "a-release-with-a-very-long-name-of-its-own-to-try-53c"])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    for (kind, _), manifest in render(*EMBEDDED, release=release).items():
        assert len(manifest["metadata"]["name"]) <= 63, kind
        assert all(len(str(value)) <= 63 for value in manifest["metadata"]["labels"].values())


def test_key_sets_and_collectors_port_is_open_to_the_pods() -> None:
    policy = render(
        "database.existingSecret=database",
        "auth.betterAuthUrl=https://app.example.com",
        "tracing.endpoint=http://collector:4318",
    )["NetworkPolicy", ""]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]] == [
        [53, 53],
        [5432],
        [443, 3000],
        [4318],
    ]


def test_resource_attributes_of_the_user_follow_the_charts() -> None:
    objects = render(*PRODUCTION, "tracing.endpoint=http://c", "config.OTEL_RESOURCE_ATTRIBUTES=a=b")
    variables = pod(objects["Deployment", ""])["containers"][0]["env"]
    (value,) = [each["value"] for each in variables if each["name"] == "OTEL_RESOURCE_ATTRIBUTES"]
    assert value.startswith("k8s.namespace.name=tasks,")
    assert value.endswith(",a=b")
    alone = render(*PRODUCTION, "config.OTEL_RESOURCE_ATTRIBUTES=a=b")["Deployment", ""]
    assert environment(pod(alone)["containers"][0])["OTEL_RESOURCE_ATTRIBUTES"] == "a=b"


def test_no_variable_is_set_twice() -> None:
    for file in VALUE_SETS:
        for manifest in render(files=(file,)).values():
            if manifest["kind"] in {"Deployment", "Job"}:
                for container in pod(manifest).get("initContainers", []) + pod(manifest)["containers"]:
                    names = [each["name"] for each in container["env"]]
                    assert len(names) == len(set(names))


def test_version_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (chart["version"], chart["appVersion"]) == (project["version"],) * 2
    assert f"task-service:{project['version']}\n" in chart["annotations"]["artifacthub.io/images"]
    assert f"task-service-frontend:{project['version']}\n" in chart["annotations"]["artifacthub.io/images"]
    for name in ("Dockerfile", "frontend/Dockerfile"):
        assert f"ARG VERSION={project['version']}\n" in (ROOT / name).read_text()
