"""Other installers than Helm 4: Helm 3, and kubectl with rendered manifests; spelled as the pages say."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace
from tests.support.docker import ROOT
from tests.support.helm import CHART, require_helm3
from tests.support.pages import shell_blocks
from tests.support.waiting import scaled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

API = "--selector=app.kubernetes.io/instance=older,app.kubernetes.io/component=api"
CLIENT_SIDE, SERVER_SIDE = shell_blocks(ROOT / "docs" / "operations.md")["Autoscaling on and off"]
DEPLOYMENT = "demo-task-service"


@pytest.fixture(scope="module")
def namespace(images: Images) -> Iterator[Namespace]:
    namespace = Namespace(images.current, images.postgres, require_helm3())
    try:
        namespace.create()
        yield namespace
    finally:
        namespace.delete()


def paste(namespace: Namespace, block: str) -> None:
    """Run a block of a page in the namespace, with its helm."""
    functions = (
        f'helm() {{ "{namespace.helm_program}" "$@"; }}\n'
        f'kubectl() {{ command kubectl -n "{namespace.name}" "$@"; }}\n'
    )
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", functions + block],
        env=os.environ | {"NAMESPACE": namespace.name, "RELEASE": "older"},
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(75),
    )
    assert result.returncode == 0, result.stdout + result.stderr


def running(namespace: Namespace) -> set[str]:
    """Return the images of the service's pods that stay."""
    return {
        pod["spec"]["containers"][0]["image"]
        for pod in namespace.get("pods", API)
        if "deletionTimestamp" not in pod["metadata"]
    }


def chart_with_a_new_value(folder: Path) -> Path:
    """Return a later version of the chart, which reads a value that today's has not."""
    chart = folder / "task-service"
    shutil.copytree(CHART, chart)
    with (chart / "values.yaml").open("a") as values:
        values.write("\nlater:\n  enabled: false\n")
    (chart / "templates" / "later.yaml").write_text("{{ if .Values.later.enabled }}{{ end }}\n")
    schema = json.loads((chart / "values.schema.json").read_text())
    schema["properties"]["later"] = {"type": "object"}
    (chart / "values.schema.json").write_text(json.dumps(schema))
    return chart


def test_helm_3_installs_tests_upgrades_and_rolls_back(
    namespace: Namespace, images: Images, tmp_path: Path
) -> None:
    """`--atomic` is Helm 4's `--rollback-on-failure`; a rollback takes no `--force-conflicts`."""
    values = ("replicas=1", "preStopSeconds=1")
    namespace.upgrade("older", *values)
    # With --logs it would fail: it removes the Pod of a test that passed before it reads its log.
    assert "Succeeded" in namespace.helm("test", "older").stdout

    failed = namespace.upgrade(
        "older", *values, image=images.broken, flags=("--atomic", "--timeout=30s"), check=False
    )
    assert failed.returncode != 0
    assert running(namespace) == {images.current}
    namespace.upgrade("older", *values, image=images.following, flags=("--atomic",))
    assert running(namespace) == {images.following}

    # Helm 4 needs --force-conflicts after this.
    namespace.kubectl("scale", "deployment/older-task-service", "--replicas=2")
    (block,) = shell_blocks(ROOT / "docs" / "on-call.md")["Roll back"]
    paste(namespace, block.replace('rollback "$RELEASE" --force-conflicts', 'rollback "$RELEASE" 1'))
    assert running(namespace) == {images.current}
    assert namespace.get("deployment", "older-task-service")["spec"]["replicas"] == 1

    # As UPGRADING.md says.
    later = ("upgrade", "older", str(chart_with_a_new_value(tmp_path)), "--dry-run=server")
    assert "nil pointer evaluating" in namespace.helm(*later, "--reuse-values", check=False).stderr
    namespace.helm(*later, "--reset-then-reuse-values")
    namespace.helm("uninstall", "older", "--wait")


@pytest.mark.parametrize(
    ("flags", "block"),
    [((), CLIENT_SIDE), (("--server-side",), SERVER_SIDE)],
    ids=["client-side", "server-side"],
)
def test_kubectl_apply_keeps_the_number_of_pods_when_autoscaling_is_switched_on(
    namespace: Namespace, flags: tuple[str, ...], block: str
) -> None:
    def apply(*values: str) -> None:
        # No node has the label, so that no pod takes room.
        options = namespace.options("nodeSelector.pool=none", *values)
        text = namespace.helm("template", "demo", str(CHART), "--skip-tests", *options).stdout
        (deployment,) = (m for m in yaml.safe_load_all(text) if m["kind"] == "Deployment")
        namespace.kubectl("apply", *flags, "-f", "-", text=yaml.safe_dump(deployment))

    def number() -> int:
        replicas: int = namespace.get("deployment", DEPLOYMENT)["spec"]["replicas"]
        return replicas

    apply("replicas=5")
    assert number() == 5
    paste(namespace, block)
    apply("autoscaling.enabled=true")
    assert number() == 5
    namespace.kubectl("delete", "deployment", DEPLOYMENT)
