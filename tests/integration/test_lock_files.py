"""requirements*.lock are what uv resolves today from pyproject.toml, and name no registry."""

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
    folder = tmp_path_factory.mktemp("resolved")
    for name in ("pyproject.toml", ".python-version", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    uv(["lock"], folder)
    return folder


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_file_is_what_uv_resolves(name: str, resolved: Path) -> None:
    assert uv(LOCK_FILES[name], resolved) == (ROOT / name).read_text(), "run `make lock`"


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_file_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages
    assert text.count("--hash=sha256:") >= len(packages)
    assert all(line.endswith("\\") for line in packages)
