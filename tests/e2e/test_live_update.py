"""What Tilt does with a saved file, by hand: copied into the pod as its user, served without a build."""

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace
from tests.support.docker import ROOT, docker
from tests.support.helm import CHART
from tests.support.pages import shell_blocks
from tests.support.waiting import scaled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROUTE = "\n\n@public.get('/saved/{number}')\nasync def saved() -> int:\n    return 1\n"
SERVED = """
import sys, time, urllib.request, urllib.error
while True:
    try:
        if urllib.request.urlopen("http://127.0.0.1:8000/saved/" + sys.argv[1], timeout=20).status == 200: break
    except urllib.error.HTTPError: time.sleep(0.05)
print(time.time())
"""
INSTALL = "uv pip install --require-hashes --requirement requirements-dev.lock"


@pytest.fixture(scope="module")
def pod(namespace: Namespace, images: Images) -> Iterator[tuple[Namespace, str]]:
    image = f"{images.current}-dev"
    docker("build", "--quiet", "--target=dev", "--tag", image, str(ROOT))
    docker("push", "--quiet", image)
    repository, _, tag = image.rpartition(":")
    namespace.helm(
        *("install", "dev", str(CHART), "--wait", "--timeout=180s"),
        f"--values={ROOT / 'deploy' / 'tilt' / 'values.yaml'}",
        *(f"--set=image.repository={repository}", f"--set=image.tag={tag}"),
        f"--set=database.embedded.image={images.postgres}",
    )
    (found,) = namespace.get("pods", "--selector=app.kubernetes.io/component=api")
    yield namespace, found["metadata"]["name"]
    namespace.helm("uninstall", "dev", "--wait")


def test_a_debug_container_shows_what_a_pod_does(pod: tuple[Namespace, str], images: Images) -> None:
    namespace, _ = pod
    blocks = shell_blocks(ROOT / "docs" / "development.md")["Debugging"]
    (block,) = (each for each in blocks if "kubectl" in each)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=os.environ | {"NAMESPACE": namespace.name, "DEV_IMAGE": f"{images.current}-dev"},
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(30),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "task-service dev --reload" in result.stdout
    assert "Thread " in result.stdout


def copy_into(namespace: Namespace, pod: str, path: str, content: bytes) -> None:
    """Copy a file below /app as Tilt does: by the container's own tar."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), 0o644
        tar.addfile(entry, io.BytesIO(content))
    command = ("kubectl", "-n", namespace.name, "exec", "-i", pod, "--container=api", "--")
    subprocess.run([*command, "tar", "-C", "/app", "-x", "-f", "-"], input=archive.getvalue(), check=True)


def test_a_saved_file_is_served_in_the_same_pod(pod: tuple[Namespace, str]) -> None:
    namespace, name = pod
    path = Path("backend/platform/http/health.py")
    seconds = []
    for number in "12345":
        started = time.time()
        copy_into(
            namespace, name, str(path), (ROOT / path).read_bytes() + ROUTE.format(number=number).encode()
        )
        served = namespace.kubectl("exec", name, "--container=api", "--", "python", "-c", SERVED, number)
        seconds.append(float(served) - started)
    print(f"saved and served in the cluster: {', '.join(f'{each:.1f}' for each in seconds)} s")
    (after,) = namespace.get("pods", "--selector=app.kubernetes.io/component=api")
    assert after["metadata"]["name"] == name
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_changed_lock_file_is_installed_by_the_user_that_runs(pod: tuple[Namespace, str]) -> None:
    namespace, name = pod
    assert INSTALL in (ROOT / "Tiltfile").read_text()
    copy_into(namespace, name, "requirements-dev.lock", (ROOT / "requirements-dev.lock").read_bytes())
    namespace.kubectl(
        "exec", name, "--container=api", "--", "sh", "-c", f"{INSTALL} && touch .venv/installed"
    )
