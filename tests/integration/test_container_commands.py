"""The commands that a platform runs inside the container, as processes."""

import os
import subprocess
import sys
from pathlib import Path

from backend.platform.server.drain import drain_marker_path


def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"backend.platform.server.{module}", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_draining_marks_the_folder(tmp_path: Path) -> None:
    assert run("drain", "0", RUN_DIR=str(tmp_path)).returncode == 0
    assert drain_marker_path(tmp_path).exists()


def test_a_probe_of_nothing_fails_in_one_line() -> None:
    result = run("healthcheck", "/livez", OPS_PORT="9", http_proxy="http://127.0.0.1:9")
    assert result.returncode == 1
    assert result.stderr.startswith("healthcheck: /livez does not respond: ")
    assert len(result.stderr.splitlines()) == 1
