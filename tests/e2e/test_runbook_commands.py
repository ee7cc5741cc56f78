"""Every command of every runbook, pasted into bash against a release on a real cluster."""

import json
from pathlib import Path

import pytest

from tests.support.docker import ROOT
from tests.support.pages import shell_blocks
from tests.support.terminal import CHANGES, Terminal, run_all

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RUNBOOKS = sorted(page for page in (ROOT / "deploy" / "runbooks").glob("*.md") if page.stem != "README")


def test_pages_with_changes_are_found() -> None:
    pages = {page.stem: page.read_text() for page in RUNBOOKS}
    assert {name for name, text in pages.items() if CHANGES.search(text)} >= {
        "TaskServiceMigrationFailed", "TaskServiceKeySetStale", "TaskServiceTargetDown", "TaskServiceAbsent",
    }  # fmt: skip
    assert not CHANGES.search(pages["TaskServiceDatabaseUnavailable"])


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_commands_of_a_runbook_work(terminal: Terminal, page: Path) -> None:
    run_all(terminal, [block for found in shell_blocks(page).values() for block in found])


def test_a_failed_migration_is_taken_away_and_no_other(terminal: Terminal) -> None:
    namespace = terminal.namespace
    selector = "--selector=app.kubernetes.io/component=migration"
    job = namespace.get("jobs", selector)[0]
    name = "demo-task-service-migrate-failed"
    labels = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/component": "migration"}
    template = job["spec"]["template"] | {"metadata": {"labels": labels}}
    # Not a missing revision: `migrate` leaves a database alone that is ahead of the image.
    template["spec"]["containers"][0]["args"] = ["no-such-command"]
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
