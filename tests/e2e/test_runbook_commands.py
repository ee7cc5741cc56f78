"""Every command of every runbook and of the on-call page, pasted into bash against a release on a real cluster."""

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, wait_until
from tests.support.pages import shell_blocks

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "deploy" / "runbooks").glob("TaskService*.md"))
ON_CALL = ROOT / "docs" / "on-call.md"
HOST = "runbooks.example.com"
API = "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component=api"


class Terminal:
    """A bash in a checkout, for one release."""

    def __init__(self, namespace: Namespace, folder: Path, images: Images) -> None:
        self.namespace = namespace
        self._folder = folder
        self._postgres_image = images.postgres
        self._releases = itertools.cycle((images.following, images.current))

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
                block.replace("image: postgres:18", f"image: {self._postgres_image}"),
            ],
            cwd=self._folder,
            env=os.environ | {"NAMESPACE": self.namespace.name, "RELEASE": "demo"},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
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


@pytest.fixture(scope="module")
def terminal(
    namespace: Namespace, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    folder: Path = tmp_path_factory.mktemp("checkout")
    (folder / "charts").symlink_to(ROOT / "charts")
    certificate(namespace, folder)
    ingress = ("ingress.enabled=true", f"ingress.hosts[0]={HOST}", "ingress.tls[0].secretName=certificate")
    values = ("preStopSeconds=1", "ingress.className=none", f"ingress.tls[0].hosts[0]={HOST}", *ingress)
    # Twice, so that there is a release to go back to.
    namespace.upgrade("demo", *values)
    namespace.upgrade("demo", *values, "podAnnotations.release=second")
    terminal = Terminal(namespace, folder, images)
    begin, end = shell_blocks(ON_CALL)["A pod with psql"]
    terminal.settle()
    terminal.paste(begin)
    yield terminal
    terminal.paste(end)


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


CHANGES = re.compile(
    r"\bhelm [^|\n]*\b(?:upgrade|rollback)\b"
    r"|\bkubectl [^|\n]*\b(?:annotate|apply|create|delete|edit|label|patch|replace|rollout (?!status)\w+|scale|set)\b"
)
"""A command that leaves something behind; all others only show."""


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


def test_pages_with_changes_are_found() -> None:
    pages = {page.stem: page.read_text() for page in RUNBOOKS}
    assert {name for name, text in pages.items() if CHANGES.search(text)} >= {
        "TaskServiceMigrationFailed", "TaskServiceKeySetStale", "TaskServiceTargetDown", "TaskServiceAbsent",
    }  # fmt: skip
    assert not CHANGES.search(pages["TaskServiceDatabaseUnavailable"])


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem.removeprefix("TaskService"))
def test_commands_of_a_runbook_work(terminal: Terminal, page: Path) -> None:
    run_all(terminal, [block for found in shell_blocks(page).values() for block in found])


@pytest.mark.parametrize(
    "heading", ["The first five minutes", "Roll back", "What the database does", "Capacity"]
)
def test_commands_of_the_on_call_page_work(terminal: Terminal, heading: str) -> None:
    run_all(terminal, shell_blocks(ON_CALL)[heading])


def test_every_section_of_the_on_call_page_is_run() -> None:
    run_elsewhere = {"A pod with psql", "Restore a database"}
    run_here = {"The first five minutes", "Roll back", "What the database does", "Capacity"}
    assert {
        heading for heading, blocks in shell_blocks(ON_CALL).items() if blocks
    } == run_here | run_elsewhere


def test_a_failed_migration_is_taken_away_and_no_other(terminal: Terminal) -> None:
    namespace = terminal.namespace
    selector = "--selector=app.kubernetes.io/component=migration"
    job = namespace.get("jobs", selector)[0]
    name = "demo-task-service-migrate-failed"
    labels = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/component": "migration"}
    template = job["spec"]["template"] | {"metadata": {"labels": labels}}
    template["spec"]["containers"][0]["args"] = ["migrate", "no-such-revision"]
    failing = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"template": template, "backoffLimit": 0},
    }
    namespace.kubectl("apply", "-f", "-", text=json.dumps(failing))
    namespace.kubectl("wait", "--for=condition=Failed", f"job/{name}", "--timeout=120s")
    *_, take_away = shell_blocks(ROOT / "deploy" / "runbooks" / "TaskServiceMigrationFailed.md")["Mitigation"]
    terminal.paste(take_away)
    assert [left["metadata"]["name"] for left in namespace.get("jobs", selector)] == [job["metadata"]["name"]]


def test_roll_back_brings_the_release_before(terminal: Terminal) -> None:
    def annotations() -> list[str]:
        return [
            pod["metadata"]["annotations"].get("release", "") for pod in terminal.namespace.get("pods", API)
        ]

    terminal.namespace.helm(
        *("upgrade", "demo", str(ROOT / "charts" / "task-service"), "--reuse-values", "--wait"),
        "--set=podAnnotations.release=broken",
    )
    terminal.settle()
    count = len(annotations())
    assert annotations() == ["broken"] * count
    # In the way of a rollback that does not force: helm finds that somebody else set the number.
    terminal.namespace.kubectl("scale", "deployment/demo-task-service", f"--replicas={count + 1}")
    (block,) = shell_blocks(ON_CALL)["Roll back"]
    terminal.paste(block)
    terminal.settle()
    assert len(annotations()) == count
    assert "broken" not in annotations()
    terminal.release()


def test_a_pod_with_psql_needs_no_migration_job(terminal: Terminal) -> None:
    """With migrations.enabled=false its files come from the Deployment."""
    begin, end = shell_blocks(ON_CALL)["A pod with psql"]
    terminal.paste(end)
    terminal.namespace.kubectl("delete", "jobs", "--selector=app.kubernetes.io/component=migration")
    terminal.paste(begin)
    (first, *_) = shell_blocks(ON_CALL)["What the database does"]
    assert "pg_stat_activity" in first
    terminal.paste(first)
    terminal.release()


def test_a_database_comes_back_from_its_dump(terminal: Terminal) -> None:
    namespace = terminal.namespace
    service = f"http://demo-task-service.{namespace.name}/api/alice/tasks"
    title = "kept in the dump"
    assert namespace.call(service, method="POST", body=f'{{"title": "{title}"}}')[0] == 201
    dump, restore = shell_blocks(ON_CALL)["Restore a database"]
    terminal.paste(dump)
    namespace.sql("DROP TABLE tasks; DELETE FROM users")
    assert namespace.call(service)[0] >= 500
    started = perf_counter()
    terminal.paste(restore)
    status, text = namespace.call(service)
    print(f"restored, from the first command to ready: {perf_counter() - started:.0f} s")
    assert status == 200, text
    assert title in text
    assert namespace.call(service, method="POST", body='{"title": "written since"}')[0] == 201
    terminal.release()


def test_the_migration_runs_again_each_time_it_is_told_to(terminal: Terminal) -> None:
    again, wait, *_ = shell_blocks(ROOT / "deploy" / "runbooks" / "TaskServiceMigrationFailed.md")[
        "Mitigation"
    ][0].splitlines()

    def jobs() -> set[str]:
        found = terminal.namespace.get("jobs", "--selector=app.kubernetes.io/component=migration")
        return {job["metadata"]["uid"] for job in found}

    seen = [jobs()]
    for _ in range(2):
        terminal.paste(f"{again}\n{wait}")
        seen.append(jobs())
    assert seen[0].isdisjoint(seen[1])
    assert seen[1].isdisjoint(seen[2])
