"""The chart as it is released: valid for every Kubernetes that it names, and installed from a registry."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, kubectl, registry, require_cluster
from tests.support.docker import ROOT
from tests.support.helm import CHART, render_text, template
from tests.support.odd_values import ODD_TEXTS, extreme_values, odd_values
from tests.support.waiting import scaled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCHEMAS_PACKAGE = "kubernetes-validate==1.37.0"
VERSIONS = ("1.30.0", "1.34.0", "1.37.0")
"""The oldest that Chart.yaml allows, and newer ones."""
KINDS = (
    *(
        "deployment-apps-v1",
        "job-batch-v1",
        "cronjob-batch-v1",
        "pod-v1",
        "service-v1",
        "serviceaccount-v1",
        "secret-v1",
        "configmap-v1",
    ),
    *("networkpolicy-networking-v1", "ingress-networking-v1", "poddisruptionbudget-policy-v1"),
    "horizontalpodautoscaler-autoscaling-v2",
)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return where kubeconform finds the schemas of Kubernetes' own kinds, and of the others."""
    require_cluster()
    if shutil.which("kubeconform") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("kubeconform is not installed, and CI=true: nothing may be skipped")
        pytest.skip("kubeconform is not installed")
    kept = ROOT / ".cache" / "kubernetes-schemas"
    if not kept.exists():
        subprocess.run(
            ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(kept), SCHEMAS_PACKAGE],
            check=True,
        )
    custom = tmp_path_factory.mktemp("custom")
    for definition in json.loads(kubectl("get", "customresourcedefinitions", "-o", "json"))["items"]:
        for version in definition["spec"]["versions"]:
            name = f"{definition['spec']['names']['kind'].lower()}_{version['name']}.json"
            (custom / name).write_text(json.dumps(version["schema"]["openAPIV3Schema"]))
    alone = tmp_path_factory.mktemp("alone")
    for version in VERSIONS:
        folder = kept / "kubernetes_validate" / "kubernetes-json-schema" / f"v{version}-local-strict"
        definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
        (alone / f"v{version}").mkdir()
        for name in KINDS:
            schema = _inlined(json.loads((folder / f"{name}.json").read_text()), definitions)
            (alone / f"v{version}" / f"{name}.json").write_text(json.dumps(schema))
    return (
        f"{alone}/{{{{.NormalizedKubernetesVersion}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        f"{custom}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json",
    )


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace each reference by what it names: kubeconform follows none between local files."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {name: _inlined(item, definitions) for name, item in schema.items()}


def conform(schemas: tuple[str, str], text: str, version: str) -> "subprocess.CompletedProcess[str]":
    """Validate objects as strictly as kubeconform does."""
    return subprocess.run(
        ["kubeconform", "-strict", "-summary", "-output=json", f"-kubernetes-version={version}",
         *(f"-schema-location={location}" for location in schemas),
         # The operator of external secrets is not there, nor are its definitions.
         "-skip=ExternalSecret"],
        input=text, capture_output=True, text=True, check=False, timeout=scaled(20),
    )  # fmt: skip


@pytest.mark.parametrize("text", [*ODD_TEXTS, "minimum", "maximum"])
def test_odd_values_are_valid(schemas: tuple[str, str], text: str) -> None:
    objects = []
    for values in extreme_values(text) if text in {"minimum", "maximum"} else odd_values(text):
        rendered, refused = template(values)
        assert not refused or "validate.yaml" in refused
        objects += rendered
    result = conform(schemas, "\n---\n".join(map(json.dumps, objects)), VERSIONS[-1])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda file: file.stem)
def test_every_value_set_is_valid_for_every_kubernetes(
    schemas: tuple[str, str], file: Path, version: str
) -> None:
    result = conform(schemas, render_text(files=(file,)), version)
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads(result.stdout)["summary"]
    assert summary["valid"] >= 7
    assert summary["skipped"] == (1 if "external" in file.stem else 0)


def test_packaged_chart_installs_from_a_registry_and_says_what_it_is(
    namespace: Namespace, images: Images, tmp_path: Path
) -> None:
    del images
    packed = (
        namespace.helm("package", str(CHART), f"--destination={tmp_path}").stdout.strip().rpartition(": ")[2]
    )
    size = Path(packed).stat().st_size
    print(f"chart package: {size / 1024:.0f} KiB")
    assert size < 300 * 1024
    address = f"oci://{registry()}/charts"
    namespace.helm("push", packed, address, "--plain-http")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    shown = namespace.helm(
        "show", "chart", f"{address}/task-service", f"--version={version}", "--plain-http"
    ).stdout
    assert f"appVersion: {version}" in shown
    assert "artifacthub.io/images" in shown
    namespace.helm(
        "install", "released", f"{address}/task-service", f"--version={version}", "--plain-http", "--wait",
        "--timeout=120s", *namespace.options(),
    )  # fmt: skip
    assert namespace.call(f"http://released-task-service.{namespace.name}/api/alice/tasks")[0] == 200
    namespace.helm("uninstall", "released", "--wait")
