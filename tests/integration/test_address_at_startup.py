"""An invalid URL stops every command with one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.platform.errors import ConfigurationError
from tests.support.waiting import scaled

COMMANDS = Path(sys.executable).parent
RUNNER = CliRunner()
URL = "postgresql://alice:hun/ter2@db.example.com/tasks?sslmode=require"
SENTENCE = (
    "cannot be read; percent-encode special characters in user and password"
    " (%40 for @, %2F for /, %3F for ?, %25 for %)"
)


@pytest.mark.parametrize(
    "command", ["serve", "dev", "migrate", "wait-for-schema", "seed", "config", "dev --reload"]
)
def test_command_rejects_an_invalid_url(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("PORT", "0")
    result = RUNNER.invoke(app, command.split())
    assert isinstance(result.exception, ConfigurationError)  # `main` makes exit code 2 of it
    assert str(result.exception) == f"DATABASE_URL {SENTENCE}"
    assert result.output == ""


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


@pytest.mark.parametrize("command", ["migrate", "wait-for-schema", "config", "serve"])
def test_sentence_names_the_variable(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://alice@db/tasks")
    monkeypatch.setenv("DATABASE_MIGRATION_URL", URL)
    assert str(RUNNER.invoke(app, command.split()).exception) == f"DATABASE_MIGRATION_URL {SENTENCE}"
    (tmp_path / "url").write_text(f"{URL}\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert str(RUNNER.invoke(app, command.split()).exception) == f"DATABASE_URL_FILE {SENTENCE}"


@pytest.mark.parametrize("command", ["migrate", "wait-for-schema", "config", "serve"])
def test_missing_root_certificate_stops_the_command(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://alice:hunter2@db/tasks?sslmode=verify-full")
    said = str(RUNNER.invoke(app, command.split()).exception)
    assert said.startswith("DATABASE_URL: sslmode=verify-full needs a root certificate")
