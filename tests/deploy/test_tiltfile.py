"""The Tiltfile hands the cluster what the chart renders, makes each resource, and refuses what is not local."""

from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml

from tests.support.helm import CHART, helm, manifests_of, require_helm
from tests.support.tiltfile import Evaluated, evaluate

ROOT = CHART.parents[1]
VALUES = ROOT / "deploy" / "tilt" / "values.yaml"


@pytest.fixture(autouse=True)
def _helm_is_there() -> None:
    require_helm()


def rendered(*values: str) -> dict[tuple[str, str], Any]:
    options = [f"--set={value}" for value in values]
    text = helm("template", "dev", str(CHART), "--namespace=default", f"--values={VALUES}", *options).stdout
    manifests = [each for each in manifests_of(text) if each["kind"] != "Pod"]
    for manifest in manifests:
        if manifest["kind"] == "Job":
            manifest["metadata"]["name"] = "dev-task-service-migrate"
    return by_name(manifests)


def by_name(manifests: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    found = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
    assert len(found) == len(manifests)
    return found


def environment(manifest: Any) -> dict[str, Any]:
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_the_cluster_gets_what_the_chart_renders() -> None:
    assert by_name(evaluate().manifests) == rendered()


def test_pods_may_write_into_their_image_and_nothing_else_is_allowed_to_them() -> None:
    manifests = rendered()
    for name in (("Deployment", "dev-task-service"), ("Job", "dev-task-service-migrate")):
        specification = manifests[name]["spec"]["template"]["spec"]
        assert specification["securityContext"]["runAsNonRoot"] is True
        for container in specification["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": False,
            }


def test_workers_run_as_in_production() -> None:
    deployment = by_name(evaluate(workers="2").manifests)["Deployment", "dev-task-service"]
    assert deployment["spec"]["template"]["spec"]["containers"][0].pop("args") == ["serve"]
    assert deployment == rendered("workers=2")["Deployment", "dev-task-service"]


def test_a_database_of_ones_own_takes_the_place_of_the_embedded_one() -> None:
    found = evaluate(db="postgresql://somebody@db.example.com/tasks")
    manifests = by_name(found.manifests)
    assert ("Deployment", "dev-task-service-embedded") not in manifests
    secret = manifests["Secret", "dev-task-service-embedded"]["stringData"]
    assert secret["database-url"] == "postgresql://somebody@db.example.com/tasks"
    assert "postgres" not in found.resources("k8s_resource")
    assert found.resources("k8s_resource")["migrate"]["resource_deps"] == []


def test_a_debugger_may_attach() -> None:
    found = evaluate(debug=True)
    assert environment(by_name(found.manifests)["Deployment", "dev-task-service"])["DEBUG_PORT"] == "5678"
    assert "5678:5678" in found.resources("k8s_resource")["api"]["port_forwards"]


def test_the_page_is_added_when_asked() -> None:
    found = evaluate(web=True)
    manifests = by_name(found.manifests)
    assert ("Job", "dev-task-service-web-migrate") in manifests
    variables = environment(manifests["Deployment", "dev-task-service-web"])
    assert variables["PUBLIC_URL"] == "http://localhost:3000"
    assert variables["API_URL"] == "http://dev-task-service"
    assert variables["ENVIRONMENT"] == "development"
    build = next(call for call in found.calls["docker_build"] if call[""][0] == "task-service-frontend")
    assert build["target"] == "dev"
    assert found.resources("k8s_resource")["web"]["port_forwards"] == ["3000:3000"]
    assert "web" not in evaluate().resources("k8s_resource")


def test_observability_is_composes_own() -> None:
    found = evaluate(obs=True)
    manifests = by_name(found.manifests)
    deployment = manifests["Deployment", "dev-task-service"]
    assert environment(deployment)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
    for name, source in {
        "prometheus": ROOT / "deploy/compose/prometheus.yml",
        "prometheus-alerts": ROOT / "deploy/compose/alerts/task-service.yaml",
        "grafana-datasources": ROOT / "deploy/compose/grafana/datasources/datasources.yaml",
        "grafana-dashboards": CHART / "dashboards/service.json",
    }.items():
        assert manifests["ConfigMap", name]["data"][source.name] == source.read_text()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("prometheus", "grafana", "jaeger"):
        (container,) = manifests["Deployment", name]["spec"]["template"]["spec"]["containers"]
        image = compose[name].get("image") or compose[name]["build"]["dockerfile_inline"]
        assert f":-{container['image']}}}" in image
        assert found.resources("k8s_resource")[name]["labels"] == ["observability"]
        volumes = manifests["Deployment", name]["spec"]["template"]["spec"].get("volumes", [])
        wanted = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
        assert wanted <= {each for kind, each in manifests if kind == "ConfigMap"}
    selector = manifests["Service", "api"]["spec"]["selector"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    page = manifests["Service", "web"]["spec"]["selector"]
    assert page == selector | {"app.kubernetes.io/component": "web"}
    scraped = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())["scrape_configs"]
    for (target,) in (each["static_configs"][0]["targets"] for each in scraped):
        host, _, port = target.partition(":")
        assert {"port": int(port)} in manifests["Service", host]["spec"]["ports"]


def test_every_resource_is_there_in_its_order() -> None:
    found = evaluate(obs=True)
    resources = found.resources("k8s_resource")
    assert {name: each.get("resource_deps", []) for name, each in resources.items()} == {
        "postgres": [],
        "migrate": ["postgres"],
        "api": ["migrate"],
        "prometheus": [],
        "grafana": [],
        "jaeger": [],
    }
    forwarded = [port.split(":")[0] for each in resources.values() for port in each.get("port_forwards", [])]
    assert sorted(forwarded, key=int) == ["3001", "5432", "8000", "9000", "9090", "16686"]
    workloads = {name for kind, name in by_name(found.manifests) if kind in {"Deployment", "Job"}}
    assert {call[""][0] for call in found.calls["k8s_resource"]} == workloads


def test_unit_tests_run_by_themselves_and_the_rest_when_asked() -> None:
    locals_ = evaluate().resources("local_resource")
    by_hand = {name for name, each in locals_.items() if each.get("trigger_mode") == "manual"}
    assert locals_.keys() - by_hand == {"unit tests"}
    assert {"backend", "tests/unit"} <= set(locals_["unit tests"]["deps"])
    assert by_hand == {
        "integration tests", "lint", "types", "end-to-end tests",
        "seed data", "new token", "start load", "inject faults", "clear faults", "new migration",
    }  # fmt: skip
    assert all(locals_[name]["auto_init"] is False for name in by_hand)
    assert all(each["labels"] for each in locals_.values())


def test_a_saved_file_is_copied_and_only_a_changed_lock_file_installs() -> None:
    (build,) = evaluate().calls["docker_build"]
    assert build["target"] == "dev"
    steps = {step[0]: step[1:] for step in build["live_update"] if step[1] != "requirements-dev.lock"}
    assert steps["sync"] == ["backend", "/app/backend"]
    assert steps["run"][1] == ["requirements-dev.lock"]
    copied = {
        line.removeprefix("!").partition("/")[0]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    assert set(build["only"]) == copied
    assert all((ROOT / path).exists() for path in build["only"])


def test_saved_files_of_the_page_are_copied_and_the_rest_of_its_context_is_built() -> None:
    build = next(
        call for call in evaluate(web=True).calls["docker_build"] if call[""][0] == "task-service-frontend"
    )
    ignored = (ROOT / "frontend" / ".dockerignore").read_text().splitlines()
    context = {line[1:] for line in ignored if line.startswith("!")}
    synced = {
        step[1].removeprefix("frontend/"): step[2] for step in build["live_update"] if step[0] == "sync"
    }
    assert synced == {name: f"/app/{name}" for name in synced}
    assert context - set(synced) == {
        *(
            "package.json",
            "package-lock.json",
            ".npmrc",
            "tsconfig.json",
            "vite.config.ts",
            "vite.server.config.ts",
        )
    }
    development = (
        (ROOT / "frontend" / "Dockerfile").read_text().partition(" AS dev\n")[2].partition("FROM")[0]
    )
    assert "WORKDIR /app\n" in development
    assert "--chown=10001:10001 /src /app\n" in development


@pytest.mark.parametrize("context", ["kind-a", "k3d-b", "minikube", "docker-desktop"])
def test_local_contexts_are_taken_as_they_are(context: str) -> None:
    assert "allow_k8s_contexts" not in evaluate(context=context).calls


def test_a_cluster_that_announces_a_local_registry_is_local() -> None:
    found = evaluate(context="mine", announces_registry=True)
    assert found.calls["allow_k8s_contexts"] == [{"": ("mine",)}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"context": "production"}, "'production' is not local and may be production"),
        ({"workers": "two"}, "--workers takes a number"),
        ({"workers": "2", "debug": True}, "--debug needs a single process"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(starlark.StarlarkError, match=sentence):
        evaluate(**arguments)


def test_arguments_that_nobody_reads_do_not_exist() -> None:
    calls: Evaluated = evaluate()
    defined = [call[""][0] for name in ("bool", "string") for call in calls.calls[f"config_define_{name}"]]
    page = (Path(ROOT) / "docs" / "development.md").read_text()
    assert sorted(defined) == ["db", "debug", "obs", "web", "workers"]
    assert all(f"--{name}" in page for name in defined)
