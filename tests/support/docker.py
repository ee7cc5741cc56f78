"""A working Docker, and what is started with it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["ROOT", "Compose", "docker", "require_docker", "wait_for"]

ROOT = Path(__file__).parents[2]


def require_docker() -> None:
    """Skip the test where no Docker answers; fail it in CI, where nothing may be skipped."""
    reason = "no docker command"
    if shutil.which("docker"):
        answer = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return
        reason = f"Docker does not answer: {answer.stderr.strip()}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def docker(*arguments: str, environment: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run a docker command and return its output."""
    result = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0 or not check, result.stdout + result.stderr
    return result.stdout


def wait_for[Found](look: Callable[[], Found | None], seconds: float) -> Found:
    """Look until there is something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(0.5)
    return found


class Compose:
    """One project of our compose file."""

    def __init__(self, project: str, environment: Mapping[str, str]) -> None:
        self._project = project
        self._environment = environment

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command and return its output."""
        command = ("compose", "--project-name", self._project, "--file", str(ROOT / "docker-compose.yml"))
        return docker(*command, *arguments, environment=self._environment, check=check)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return each service's container."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        return {container["Service"]: container for container in map(json.loads, lines)}
