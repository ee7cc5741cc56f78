"""The first hour of docs/development.md, command by command, in a fresh clone."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.config import Settings
from tests.support.docker import ROOT
from tests.support.pages import shell_blocks
from tests.support.waiting import scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BLOCKS = shell_blocks(ROOT / "docs" / "development.md")
COMMANDS = "".join(BLOCKS["The first hour"]).splitlines()
ELSEWHERE = {
    "make up": "started first, and left running",
    **dict.fromkeys(("make lint", "make types", "make check"), "run by .ci/run, in a fresh clone too"),
}
"""Commands that the test below leaves out, and why."""
SHORTER = {
    # A minute of load shows no more than a second of it.
    "--duration 60s": "--duration 1s --url http://127.0.0.1:{port}",
    # `make test` runs all of them.
    "pytest tests/unit": "pytest tests/unit -k config",
}


@dataclass(frozen=True)
class Clone:
    """A clone with the service running from it."""

    folder: Path
    port: int
    said: Path
    seconds: float

    def paste(self, command: str) -> str:
        """Run a command as a person does, and return its output."""
        return run(self.folder, ("bash", "-eu"), self.port, typed=command)


def environment(port: int) -> dict[str, str]:
    """Return that of a person, who has configured nothing but a free port."""
    ours = ("PYTEST_", "COV_", "VIRTUAL_ENV", "PYTHONPATH", "MAKE")
    settings = {name.upper() for name in Settings.model_fields}
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and name not in settings
    }
    return inherited | {"PORT": str(port)}


def run(folder: Path, command: tuple[str, ...], port: int, typed: str = "") -> str:
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment(port),
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(75),
    )
    assert result.returncode == 0, f"{typed or command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("hour") / "clone"
    port = free_port()
    run(ROOT, ("git", "clone", "--quiet", str(ROOT), str(folder)), port)
    said = folder.parent / "said"
    started = time.perf_counter()
    with said.open("wb") as output:
        up = subprocess.Popen(
            ["make", "up"],
            cwd=folder,
            env=environment(port),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while "curl " not in said.read_text():
            assert up.poll() is None, said.read_text()
            assert time.perf_counter() - started < 180, said.read_text()
            time.sleep(0.05)
        yield Clone(folder, port, said, time.perf_counter() - started)
    finally:
        os.killpg(up.pid, signal.SIGINT)
        up.wait(60)


def test_make_up_prints_a_command_that_works(clone: Clone) -> None:
    print(f"make up: installed and serving after {clone.seconds:.1f} s")
    command = re.search(r"curl (?:.*\\\n)*.*", clone.said.read_text())
    assert command is not None
    answer = json.loads(clone.paste(f"{command[0]} --silent"))
    assert answer["user_id"] == "developer"


def test_each_command_does_what_the_page_says(clone: Clone) -> None:
    assert set(ELSEWHERE) <= set(COMMANDS)
    assert all(sum(long in command for command in COMMANDS) == 1 for long in SHORTER)
    outputs = {}
    for command in COMMANDS:
        if command not in ELSEWHERE:
            shorter = command
            for long, short in SHORTER.items():
                shorter = shorter.replace(long, short.format(port=clone.port))
            outputs[command] = clone.paste(shorter)
    (token,) = (outputs[command].strip() for command in outputs if " token " in command)
    listed = clone.paste(
        f"curl --silent --fail --header 'Authorization: Bearer {token}'"
        f" 'http://127.0.0.1:{clone.port}/api/alice/tasks?limit=200'"
    )
    assert json.loads(listed)["count"] == 200
    (tests,) = (outputs[command] for command in outputs if " pytest " in command)
    assert re.search(r"\d+ passed", tests)
    assert (clone.folder / ".git" / "hooks" / "pre-commit").exists()


def test_the_running_process_says_what_it_does(clone: Clone) -> None:
    (command,) = (block for block in BLOCKS["Debugging"] if "py-spy" in block and "kubectl" not in block)
    assert shlex.split(command)[:3] == ["uv", "run", "--no-sync"]
    assert "uvicorn/server.py" in clone.paste(command)
