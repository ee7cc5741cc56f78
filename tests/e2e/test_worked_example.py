"""The worked examples of docs/development.md, "Adding a field" and "Adding a resource", pass every check in a clone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.docker import ROOT
from tests.support.pages import touched_files

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EXAMPLES = ROOT / "docs" / "examples"
PROGRAMS = Path(sys.executable).parent
RENEW = "make the example's change by hand, then: git add --all && git diff --cached --unified=1 > {}"


def run(folder: Path, *command: str | Path) -> str:
    """Run a command on the code of a folder, whatever is installed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))
    }
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("name", ["add-a-field", "add-a-resource"])
def test_patch_applies_and_every_check_passes(tmp_path: Path, name: str) -> None:
    patch = EXAMPLES / f"{name}.patch"
    clone = tmp_path / "clone"
    run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
    if (ROOT / ".mypy_cache").exists():  # mypy then checks what the patch changes
        shutil.copytree(ROOT / ".mypy_cache", clone / ".mypy_cache")
    applied = subprocess.run(
        ["git", "apply", str(patch)], cwd=clone, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, (
        f"{applied.stderr}\nThe code has changed; {RENEW.format(patch.relative_to(ROOT))}"
    )
    (clone / "docs" / "openapi.json").write_text(run(clone, PROGRAMS / "task-service", "openapi"))
    for check in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("lint-imports", "--no-logo"),
        ("mypy",),
    ):
        run(clone, PROGRAMS / check[0], *check[1:])
    # The migrations' tests run the new one up, down and up again, and compare its result with the model.
    tests = [file for file in touched_files(patch) if file.startswith("tests/")]
    said = run(
        clone,
        *(sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"),
        *("tests/integration/test_migrations.py", "tests/integration/test_grants.py"),
        *("tests/unit/platform/http/test_openapi.py", "tests/architecture", *tests),
    )
    assert "failed" not in said
    assert int(re.findall(r"(\d+) passed", said)[-1]) > 100
