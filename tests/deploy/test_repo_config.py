"""The files that hold habits: hooks, workflows, the editor's settings."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
TOOLS = Path(sys.executable).parent


def test_every_yaml_file_passes_the_strict_linter() -> None:
    files = subprocess.run(
        ["git", "ls-files", "*.yaml", "*.yml"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert files
    result = subprocess.run(
        [TOOLS / "yamllint", "--strict", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_pre_commit_takes_its_configuration_and_knows_every_tool() -> None:
    file = ROOT / ".pre-commit-config.yaml"
    subprocess.run([TOOLS / "pre-commit", "validate-config", file], check=True, capture_output=True)
    hooks = {hook["id"] for repo in yaml.safe_load(file.read_text())["repos"] for hook in repo["hooks"]}
    wanted = "ruff ruff-format mypy import-linter codespell actionlint shellcheck hadolint helm-lint yamllint"
    assert hooks == set(wanted.split())


def test_updates_are_proposed_for_every_dockerfile_and_package_file() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "Dockerfile", "*/Dockerfile", "*package-lock.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    folders: dict[str, set[str]] = {"docker": set(), "npm": set()}
    for path in map(Path, listed):
        folders["docker" if path.name == "Dockerfile" else "npm"].add(f"/{path.parent}".rstrip("."))
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    covered = {each["package-ecosystem"]: set(each.get("directories", ())) for each in updates}
    assert {ecosystem: covered[ecosystem] for ecosystem in folders} == folders


def test_a_change_and_a_release_run_the_same_checks() -> None:
    shared = "./.github/workflows/run-checks.yaml"
    for name in ("check", "release"):
        jobs = yaml.safe_load((ROOT / f".github/workflows/{name}.yaml").read_text())["jobs"]
        assert jobs["check"]["uses"] == shared
    assert jobs["publish"]["needs"] == "check"
    steps = yaml.safe_load((ROOT / shared).read_text())["jobs"]["run"]["steps"]
    assert steps[-1]["run"] == "bash .ci/run"


def test_release_publishes_each_image_that_the_chart_names_by_digest() -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())["jobs"]["publish"]["steps"]
    (publish,) = (each["run"] for each in steps if "helm package" in each.get("run", ""))
    replaced = re.findall(r"s\|\^( +)(repository|digest): ", publish)
    values = (ROOT / "charts/task-service/values.yaml").read_text()
    # The expressions select by indentation.
    assert re.findall(r"^( +)(repository|digest): ", values, re.MULTILINE) == replaced
    tags = [each["with"]["tags"] for each in steps if "build-push-action" in each.get("uses", "")]
    assert tags == ["${{ env.IMAGE }}:${{ env.VERSION }}", "${{ env.IMAGE }}-frontend:${{ env.VERSION }}"]


def test_weekly_audit_fails_where_it_could_not_ask() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/audit.yaml").read_text())["jobs"]["audit"]
    assert job["env"] == {"AUDIT_REQUIRED": "true"}
    assert job["steps"][-1]["run"] == ".venv/bin/python -m deploy.audit"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_read_unless_it_says_otherwise(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {"contents": "read"}


def test_development_container_is_made_by_the_makefile() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    version = (ROOT / ".python-version").read_text().strip()
    assert container["image"].endswith(f":{version}")
    target = container["postCreateCommand"].removeprefix("make ")
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
