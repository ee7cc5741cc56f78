"""The value sets of charts/task-service/ci: each is valid for the API server, and follows any other in one release."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Images, uninstall
from tests.support.cluster import Namespace, kubectl, registry
from tests.support.docker import ROOT, docker
from tests.support.helm import CHART

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EXTERNAL_SECRETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "externalsecrets.external-secrets.io"},
    "spec": {
        "group": "external-secrets.io",
        "scope": "Namespaced",
        "names": {"kind": "ExternalSecret", "plural": "externalsecrets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


@pytest.mark.parametrize("file", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda file: file.stem)
def test_every_value_set_is_taken_by_the_api_server(namespace: Namespace, file: Path) -> None:
    """All kinds but those of operators that are not there, by the server's own strict validation."""
    rendered = namespace.helm("template", "value-set", str(CHART), f"--values={file}").stdout
    known = {line.split()[-1] for line in kubectl("api-resources", "--no-headers").splitlines()}
    manifests = [m for m in yaml.safe_load_all(rendered) if m and m["kind"] in known]
    for pod in (
        m for m in manifests if m["kind"] == "Pod"
    ):  # admission asks for what a dry run does not make
        pod["spec"]["serviceAccountName"] = "default"
    assert {m["kind"] for m in yaml.safe_load_all(rendered) if m} - known <= {"ExternalSecret"}
    namespace.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(manifests)
    )


def test_value_sets_follow_each_other_in_one_release(namespace: Namespace, images: Images) -> None:
    """Each set installs as it stands, and from any to the next no field is in the way that cannot be changed."""
    for name in ("task-service-database", "task-service-migrations"):
        namespace.secret(name, url=namespace.database_url("tasks", "tasks"))
    namespace.secret("task-service-auth", secret="x" * 40)
    namespace.secret("database", url=namespace.database_url("tasks", "tasks"))
    namespace.secret("frontend", secret="s" * 40, secrets=f"1:{'s' * 40}")
    namespace.secret("mail", url="smtp://127.0.0.1")
    # The Secret that the operator of external secrets would make.
    url = namespace.database_url("tasks", "tasks")
    made = {"database-url": url, "migration-url": url, "auth-secret": "x" * 40}
    namespace.secret("walk-task-service-external", **made)
    repository, _, tag = images.current.rpartition(":")
    frontend = f"{registry()}/task-service-frontend"
    with external_secrets(), built_frontend(f"{frontend}:{tag}"):
        for file in sorted((CHART / "ci").glob("*-values.yaml")):
            started = perf_counter()
            namespace.helm(
                *("upgrade", "--install", "walk", str(CHART), "--wait", "--timeout=180s", f"--values={file}"),
                *(f"--set=image.repository={repository}", f"--set=image.tag={tag}"),
                *("--set=preStopSeconds=1", "--set=workers=1"),
                *(f"--set=frontend.image.repository={frontend}", f"--set=frontend.image.tag={tag}"),
                *(f"--set=database.embedded.image={images.postgres}", "--set=resources.requests.cpu=100m"),
            )
            print(f"{file.stem}: ready after {perf_counter() - started:.0f} s")
        uninstall(namespace, "walk")


@contextlib.contextmanager
def external_secrets() -> Iterator[None]:
    """Define the kind of the operator of external secrets, in its place."""
    try:
        kubectl("apply", "-f", "-", text=json.dumps(EXTERNAL_SECRETS))
        yield
    finally:
        kubectl(
            "delete", "customresourcedefinition", EXTERNAL_SECRETS["metadata"]["name"], "--ignore-not-found"
        )


@contextlib.contextmanager
def built_frontend(image: str) -> Iterator[None]:
    """Build and push the image of the frontend."""
    try:
        docker("build", "--quiet", "--tag", image, str(ROOT / "frontend"))
        docker("push", "--quiet", image)
        yield
    finally:
        docker("image", "rm", image, check=False)
