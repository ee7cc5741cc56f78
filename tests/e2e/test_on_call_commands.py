"""Every command of the on-call page, pasted into bash against a release on a real cluster."""

from time import perf_counter

import pytest

from tests.support.docker import ROOT
from tests.support.pages import shell_blocks
from tests.support.terminal import API, Terminal, run_all

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ON_CALL = ROOT / "docs" / "on-call.md"


@pytest.mark.parametrize("heading", ["The first five minutes", "Roll back", "Database activity", "Capacity"])
def test_commands_of_the_on_call_page_work(terminal: Terminal, heading: str) -> None:
    run_all(terminal, shell_blocks(ON_CALL)[heading])


def test_every_section_of_the_on_call_page_is_run() -> None:
    run_elsewhere = {"A pod with psql", "Restore a database"}
    run_here = {"The first five minutes", "Roll back", "Database activity", "Capacity"}
    assert {
        heading for heading, blocks in shell_blocks(ON_CALL).items() if blocks
    } == run_here | run_elsewhere


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
    # Blocks a rollback without --force-conflicts: another field manager owns the number.
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
    (first, *_) = shell_blocks(ON_CALL)["Database activity"]
    assert "pg_stat_activity" in first
    terminal.paste(first)
    terminal.release()


OWN = """
CREATE ROLE owner LOGIN PASSWORD 'owner';
ALTER DATABASE tasks OWNER TO owner;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I OWNER TO owner', name);
  END LOOP;
END $$
"""
"""A role as providers give it: it owns the tables, and a superuser owns the extensions."""


def test_database_is_restored_from_its_backup(terminal: Terminal) -> None:
    namespace = terminal.namespace
    service = f"http://demo-task-service.{namespace.name}/api/alice/tasks"
    namespace.sql(OWN)
    namespace.secret("database", url=namespace.database_url("owner", "owner"))
    begin, end = shell_blocks(ON_CALL)["A pod with psql"]
    terminal.paste(end)
    terminal.paste(begin)
    title = "kept in the dump"
    assert namespace.call(service, method="POST", body=f'{{"title": "{title}"}}')[0] == 201
    backup, save, restore = shell_blocks(ON_CALL)["Restore a database"]
    terminal.paste(backup)
    namespace.sql("INSERT INTO users (id, name, email) VALUES ('newer', '', 'newer@example.com')")
    terminal.paste(save)
    namespace.sql("DROP TABLE tasks")
    assert namespace.call(service)[0] >= 500
    started = perf_counter()
    terminal.paste(restore)
    status, text = namespace.call(service)
    print(f"restored, from the first command to ready: {perf_counter() - started:.0f} s")
    assert status == 200, text
    assert title in text
    assert namespace.sql("SELECT id FROM users WHERE id = 'newer'") == []
    assert namespace.call(service, method="POST", body='{"title": "written since"}')[0] == 201
    terminal.release()
