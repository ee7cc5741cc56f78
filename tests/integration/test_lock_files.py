"""requirements*.lock are what uv resolves from pyproject.toml, and name no registry."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPORT = ["export", "-q", "--no-emit-project", "--no-header", "--no-annotate"]
LOCK_FILES = {"requirements.lock": [*EXPORT, "--no-dev"], "requirements-dev.lock": EXPORT}


def uv(arguments: list[str], folder: Path) -> str:
    # The one in the project first: a version manager's shim may be there without uv behind it.
    program = shutil.which("uv", path=f"{ROOT / '.uv/bin'}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("uv is not installed")
    result = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Resolve with the locked versions: a registry may come to hold what is dated before `exclude-newer`."""
    folder = tmp_path_factory.mktemp("resolved")
    for name in ("pyproject.toml", ".python-version", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    locked = [line.split(" ")[0] for line in (ROOT / "requirements-dev.lock").read_text().splitlines()]
    constraints = [each for each in locked if "==" in each]
    project = folder / "pyproject.toml"
    project.write_text(
        project.read_text().replace("[tool.uv]\n", f"[tool.uv]\nconstraint-dependencies = {constraints}\n")
    )
    uv(["lock"], folder)
    return folder


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_file_is_what_uv_resolves(name: str, resolved: Path) -> None:
    expected, found = (contents(text) for text in (uv(LOCK_FILES[name], resolved), (ROOT / name).read_text()))
    assert found.keys() == expected.keys(), "run `make lock`"
    # A release may have got more files since.
    assert all(found[package] <= expected[package] for package in found), "run `make lock`"


def contents(text: str) -> dict[str, set[str]]:
    """Return the hashes of each package, by its name, version and marker."""
    packages: dict[str, set[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        package, *hashes = line.split("--hash=")
        packages[package.strip()] = {each.strip() for each in hashes}
    return packages


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_file_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages
    assert text.count("--hash=sha256:") >= len(packages)
    assert all(line.endswith("\\") for line in packages)
