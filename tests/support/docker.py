"""A working Docker, and what is started with it."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "ROOT",
    "Compose",
    "configured_checkout",
    "copy_checkout",
    "docker",
    "repository_files",
    "require_docker",
    "wait_for",
]

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


def repository_files(*paths: str) -> list[str]:
    """Return the files that git tracks or would add, below these paths or anywhere."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def copy_checkout(folder: Path, *, umask: int = 0o022) -> Path:
    """Copy the files that belong to the repository, as `git clone` leaves them.

    Args:
        folder: Where to; empty.
        umask: Permission bits that the copies do not have.

    Returns:
        The folder.
    """
    for name in repository_files():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
        copy.chmod((0o777 if (ROOT / name).stat().st_mode & 0o100 else 0o666) & ~umask)
    for path in folder.rglob("*/"):
        path.chmod(0o777 & ~umask)
    return folder


def configured_checkout(folder: Path, password: str) -> str:
    """Copy the checkout as `copy_checkout` does for its owner only, write its `.env`, and return the secret of the tokens.

    Args:
        folder: Where to; empty.
        password: Of PostgreSQL.
    """
    copy_checkout(folder, umask=0o077)
    secret = secrets.token_hex(32)
    quoted = password.replace("'", r"\'")
    (folder / ".env").write_text(
        f"POSTGRES_PASSWORD='{quoted}'\nBETTER_AUTH_SECRET={secret}\nFRONTEND_SECRET=unused\n"
    )
    return secret


def wait_for[Found](look: Callable[[], Found | None], seconds: float) -> Found:
    """Look until there is something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(0.5)
    return found


class Compose:
    """One project of our compose file.

    Args:
        project: Its name.
        environment: What the file may read from the environment.
        folder: The checkout.
        options: Of `docker compose` itself, such as `--profile=obs`.
    """

    def __init__(
        self,
        project: str,
        environment: Mapping[str, str],
        *,
        folder: Path = ROOT,
        options: tuple[str, ...] = (),
    ) -> None:
        self._command = (
            *("compose", "--project-name", project, "--file", str(folder / "docker-compose.yml")),
            *options,
        )
        self._environment = environment

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command and return its output."""
        return docker(*self._command, *arguments, environment=self._environment, check=check)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return each service's container."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        return {container["Service"]: container for container in map(json.loads, lines)}
