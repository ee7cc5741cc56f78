"""`make rename` turns a clone into a service of another name, which passes its unit tests, lint and `helm lint`."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.docker import ROOT
from tests.support.helm import require_helm

NAME: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif("-" not in NAME, reason="a name of one word is not renamed again"),
]

KEPT = (":!CHANGELOG.md", ":!LICENSE", ":!docs/decisions")
"""Files that keep the old name."""

WORDS = NAME.split("-")
SNAKE, CAMEL = "_".join(WORDS), "".join(map(str.capitalize, WORDS))
SPELLINGS = rf"{NAME}|{SNAKE}|{CAMEL}(?=[A-Z])|(?i:{' '.join(WORDS)})"
DOMAIN = rf"\bservices[./]{SNAKE}\b|\.{SNAKE}\b|\btest_{SNAKE}\b|\b{CAMEL}Dep\b|(?:def |Depends\(|service\(\"){SNAKE}\b"
"""Names of the domain, which the rename keeps."""


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a person in a folder does, with the uv of this checkout where there is no other."""
    left_out = ("PYTEST_", "COV_", "VIRTUAL_ENV", "PYTHONPATH", "MAKE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    path = f"{environment['PATH']}:{ROOT / '.uv' / 'bin'}"
    return subprocess.run(
        command, cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )


def output(folder: Path, *command: str | Path) -> str:
    result = run(folder, *command)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that has the name `notes`."""
    folder = tmp_path_factory.mktemp("rename") / "clone"
    output(ROOT, "git", "clone", "--quiet", ROOT, folder)
    invalid = run(folder, "make", "rename", "NAME=My_Notes")
    assert (invalid.returncode, output(folder, "git", "status", "--porcelain")) == (2, "")
    assert "give a DNS label" in invalid.stderr
    output(folder, "make", "rename", "NAME=notes")
    return folder


def test_only_renames_and_edits_are_left(clone: Path) -> None:
    states = {line[:2] for line in output(clone, "git", "status", "--porcelain").splitlines()}
    assert states == {"R ", "RM", " M"}
    assert (
        output(clone, "git", "diff", "--name-only", "HEAD", "--", "CHANGELOG.md", "LICENSE", "docs/decisions")
        == ""
    )


def test_old_name_is_left_in_the_domain_and_in_history_only(clone: Path) -> None:
    found = output(clone, "git", "grep", "--untracked", "-nIP", SPELLINGS, "--", ".", *KEPT)
    assert [line for line in found.splitlines() if re.search(SPELLINGS, re.sub(DOMAIN, "", line))] == []
    paths = output(clone, "git", "ls-files", "--", ".", *KEPT)
    assert not re.search(SPELLINGS, re.sub(DOMAIN, "", paths))


def test_changed_tree_and_second_rename_are_refused(clone: Path) -> None:
    result = run(clone, "make", "rename", "NAME=orders")
    assert (result.returncode, "notes is one word" in result.stderr) == (2, True)
    folder = clone.with_name("changed")
    output(ROOT, "git", "clone", "--quiet", ROOT, folder)
    (folder / "draft").touch()
    result = run(folder, clone / ".venv" / "bin" / "python", "-m", "deploy.rename", "notes")
    assert (result.returncode, "the working tree has changes" in result.stderr) == (2, True)
    assert output(folder, "git", "status", "--porcelain") == "?? draft\n"


def test_renamed_service_passes_its_checks(clone: Path) -> None:
    programs = clone / ".venv" / "bin"
    assert "Usage: notes" in output(clone, programs / "notes", "--help")
    assert not (programs / NAME).exists()
    output(clone, programs / "ruff", "check", ".")
    output(clone, programs / "ruff", "format", "--check", ".")
    output(clone, programs / "lint-imports", "--no-logo")
    tests = ("tests/unit", "tests/architecture", "tests/deploy/test_architecture_page.py")
    passed = output(clone, programs / "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests)
    assert int(re.findall(r"(\d+) passed", passed)[-1]) > 1000


def test_renamed_chart_passes_helm_lint(clone: Path) -> None:
    require_helm()
    chart = clone / "charts" / "notes"
    values = sorted((chart / "ci").glob("*.yaml"))
    assert values
    for file in values:
        output(clone, "helm", "lint", "--strict", chart, "--values", file)
    rendered = output(
        clone, "helm", "template", "demo", chart, "--values", chart / "ci" / "embedded-values.yaml"
    )
    assert 'name: "demo-notes"\n' in rendered
