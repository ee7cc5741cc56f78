"""An invalid URL stops every process with one sentence; tests/unit/test_command_errors.py has all commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import scaled

pytestmark = pytest.mark.usefixtures("unmeasured_processes")

COMMANDS = Path(sys.executable).parent
URL = "postgresql://alice:hun/ter2@db.example.com/tasks?sslmode=require"
SENTENCE = (
    "cannot be read; percent-encode special characters in user and password"
    " (%40 for @, %2F for /, %3F for ?, %25 for %)"
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    [
        "task-service migrate",
        "uvicorn backend.main:app",
        "gunicorn --config python:backend.platform.server.gunicorn_conf backend.main:app",
    ],
)
def test_process_ends_with_exit_code_2_and_one_sentence(command: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": URL, "PORT": "0"}
    name, *arguments = command.split()
    result = subprocess.run(
        [COMMANDS / name, *arguments],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(60),
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr == f"task-service: DATABASE_URL {SENTENCE}\n"
