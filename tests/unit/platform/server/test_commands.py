"""The commands that a platform runs inside the container."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.platform.server.drain import drain_marker_path
from tests.support.workers import free_port


def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"backend.platform.server.{module}", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def run_beside_env_file(
    folder: Path, lines: str, module: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    (folder / ".env").write_text(lines)
    command = [sys.executable, "-m", f"backend.platform.server.{module}", *arguments]
    variables = {
        name: value for name, value in os.environ.items() if name not in {"PORT", "OPS_PORT", "RUN_DIR"}
    }
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)


def test_draining_reads_the_folder_from_the_env_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = run_beside_env_file(tmp_path, " run_dir = 'run' \n", "drain", "0")
    assert result.returncode == 0, result.stderr
    assert drain_marker_path(tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("PORT=x", "healthcheck: PORT: must be a port number from 0 to 65535"),
        ("PORT=0", "healthcheck: PORT=0 takes any free port"),
        ("PORT='\"80\"'", "healthcheck: PORT has quotation marks"),
    ],
)
def test_a_probe_says_which_variable_is_impossible(tmp_path: Path, lines: str, reason: str) -> None:
    result = run_beside_env_file(tmp_path, lines, "healthcheck")
    assert result.returncode == 1
    assert result.stderr.startswith(reason)
    assert len(result.stderr.splitlines()) == 1


def test_draining_marks_the_folder(tmp_path: Path) -> None:
    assert run("drain", "0", RUN_DIR=str(tmp_path)).returncode == 0
    assert drain_marker_path(tmp_path).exists()


@pytest.mark.parametrize(
    ("seconds", "folder", "reason"),
    [
        ("soon", "", "drain: 'soon' is no number of seconds"),
        ("nan", "", "is no number of seconds"),
        ("0", "missing", "is RUN_DIR right?"),
    ],
)
def test_draining_says_why_it_cannot(tmp_path: Path, seconds: str, folder: str, reason: str) -> None:
    result = run("drain", seconds, RUN_DIR=str(tmp_path / folder))
    assert result.returncode == 1
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_probe_of_nothing_fails_in_one_line() -> None:
    result = run("healthcheck", "/livez", OPS_PORT=str(free_port()), http_proxy="http://127.0.0.1:9")
    assert result.returncode == 1
    assert result.stderr.startswith("healthcheck: /livez does not answer: ")
    assert len(result.stderr.splitlines()) == 1
