"""A terminal in which commands of the pages are pasted, and a release for them."""

import itertools
import os
import re
import subprocess
from pathlib import Path

from tests.support.cluster import Namespace, wait_until
from tests.support.docker import ROOT
from tests.support.waiting import stretched

__all__ = ["API", "CHANGES", "Terminal", "install", "run_all"]

HOST = "runbooks.example.com"
API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"
CHANGES = re.compile(
    r"\bhelm [^|\n]*\b(?:upgrade|rollback)\b"
    r"|\bkubectl [^|\n]*\b(?:annotate|apply|create|delete|edit|label|patch|replace|rollout (?!status)\w+|scale|set)\b"
)
"""A command that leaves something behind; all others only show."""


class Terminal:
    """A bash in a checkout, for the release `demo`.

    Args:
        namespace: Of the release.
        folder: A checkout.
        later_image: Of the release after this one.
    """

    def __init__(self, namespace: Namespace, folder: Path, later_image: str) -> None:
        self.namespace = namespace
        self._folder = folder
        self._releases = itertools.cycle((later_image, namespace.image))

    def paste(self, block: str) -> str:
        """Run a block of shell; it has to succeed.

        The image of psql comes from the cluster's own registry: its nodes may see no other.
        """
        if " top pods " in block:
            wait_until(self._is_measured, 180, what="the cluster has measured each pod")
        result = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                block.replace("image: postgres:18", f"image: {self.namespace.postgres_image}"),
            ],
            cwd=self._folder,
            env=os.environ | {"NAMESPACE": self.namespace.name, "RELEASE": "demo"},
            capture_output=True,
            text=True,
            check=False,
            timeout=stretched(240),
        )
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        print(f"{block}{result.stdout}")
        return result.stdout

    def settle(self) -> None:
        """Wait until the release has the pods that it should have and no others."""
        self.namespace.kubectl("rollout", "status", "deployment/demo-task-service", "--timeout=180s")
        wait_until(
            lambda: all(
                "deletionTimestamp" not in pod["metadata"] for pod in self.namespace.get("pods", API)
            ),
            60,
            what="pods that go are gone",
        )

    def release(self) -> None:
        """Bring out the next image, as a pipeline does that knows nothing of what was done by hand."""
        image = next(self._releases)
        self.namespace.helm(
            *("upgrade", "demo", str(ROOT / "charts" / "task-service"), "--reuse-values", "--timeout=120s"),
            *("--wait", f"--set=image.tag={image.rpartition(':')[2]}"),
        )
        pods = [pod for pod in self.namespace.get("pods", API) if "deletionTimestamp" not in pod["metadata"]]
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}

    def _is_measured(self) -> bool:
        """Tell whether `kubectl top` knows the pods; of a new one it knows nothing for a while."""
        shown = self.namespace.kubectl("top", "pods", check=False)
        return all(pod["metadata"]["name"] in shown for pod in self.namespace.get("pods", API))


def install(namespace: Namespace, folder: Path) -> None:
    """Make the release, in a folder that becomes the checkout."""
    (folder / "charts").symlink_to(ROOT / "charts")
    certificate(namespace, folder)
    ingress = ("ingress.enabled=true", f"ingress.hosts[0]={HOST}", "ingress.tls[0].secretName=certificate")
    # One worker a pod: dozens of commands restart the pods.
    values = (
        "workers=1",
        "preStopSeconds=1",
        "ingress.className=none",
        f"ingress.tls[0].hosts[0]={HOST}",
        *ingress,
    )
    # Twice, so that there is a release to go back to.
    namespace.upgrade("demo", *values)
    namespace.upgrade("demo", *values, "podAnnotations.release=second")


def certificate(namespace: Namespace, folder: Path) -> None:
    """Put a certificate into a Secret, as cert-manager would."""
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "30",
                "-subj",
                f"/CN={HOST}",
            ),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    namespace.kubectl(
        *("create", "secret", "tls", "certificate"),
        *(f"--key={folder}/key.pem", f"--cert={folder}/certificate.pem"),
    )


def run_all(terminal: Terminal, blocks: list[str]) -> None:
    """Paste one block after the other; together they show something, and the next release works."""
    shown = ""
    for block in blocks:
        terminal.settle()
        shown += terminal.paste(block)
    terminal.settle()
    assert shown
    if any(CHANGES.search(block) for block in blocks):
        terminal.release()
