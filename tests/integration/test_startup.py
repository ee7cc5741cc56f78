"""Every start leads to a running service, or to one sentence and exit code 2."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.platform.errors import ConfigurationError
from tests.support.logs import restored_logging
from tests.support.startup import start_and_stop

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("unmeasured_processes")]

ODD_NAME = "R&D 50% #?,:;'\"\\$HOME`x` grün\nline"
SECRET = "0123456789abcdef" * 2


@pytest.fixture
def folder(postgres_folder: Path, tmp_path: Path) -> Path:
    """A project folder that PostgreSQL's user can enter too."""
    made = postgres_folder / tmp_path.name
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        # As a checkout's folder, with the variables of an IPv6-only platform.
        (ODD_NAME, {"HOST": "::", "NO_PROXY": "fd00::/8", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "abc"}),
        (
            "x" * 120,
            {"HOST": "localhost", "PGSSLMODE": "verify-full", "PGPORT": "5433", "OTEL_PROPAGATORS": "b3"},
        ),
    ],
)
async def test_dev_serves_in_any_directory(folder: Path, name: str, variables: dict[str, str]) -> None:
    checkout = folder / name
    checkout.mkdir()
    outcome = await start_and_stop(checkout, "dev", BETTER_AUTH_URL="http://127.0.0.1:9", **variables)
    assert outcome.serves, outcome.sentence


async def test_serve_listens_on_ipv6(folder: Path) -> None:
    outcome = await start_and_stop(
        folder,
        "serve",
        HOST="[::1]",
        OTEL_EXPORTER_OTLP_ENDPOINT="collector:4317",
        OTEL_BSP_SCHEDULE_DELAY="0",
    )
    assert outcome.serves, outcome.sentence
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in outcome.output


@pytest.mark.parametrize(
    ("command", "variables", "sentence"),
    [
        ("serve", {"HOST": "192.0.2.1"}, "HOST: 192.0.2.1 cannot be listened on"),
        ("dev --reload", {"HOST": "192.0.2.1"}, "HOST: 192.0.2.1 cannot be listened on"),
        (
            "serve",
            {"RUN_DIR": "/dev/null", "DATABASE_URL": "postgresql://u@127.0.0.1:9/tasks"},
            "RUN_DIR: /dev/null",
        ),
    ],
)
async def test_invalid_setting_ends_the_process_with_one_sentence(
    folder: Path, command: str, variables: dict[str, str], sentence: str
) -> None:
    outcome = await start_and_stop(folder, *command.split(), **variables)
    assert not outcome.serves
    assert sentence in outcome.output


@pytest.mark.parametrize(
    ("command", "variables", "sentence"),
    [
        ("dev", {"HOST": "nowhere.invalid"}, "HOST: 'nowhere.invalid' cannot be resolved"),
        ("dev", {"DATA_DIR": "/proc/nowhere", "BETTER_AUTH_SECRET": SECRET}, "DATA_DIR"),
        ("serve", {"DATA_DIR": "/dev/null", "BETTER_AUTH_SECRET": SECRET}, "DATA_DIR"),
        ("dev", {"DATA_DIR": "/dev/null"}, "DATA_DIR"),
        (
            "dev",
            {"BETTER_AUTH_URL": "https://u:hunter2@a.example", "ALL_PROXY": "socks://hunter2@proxy:1080"},
            "ALL_PROXY is not the URL of an HTTP proxy",
        ),
        (
            "dev --reload",
            {"BETTER_AUTH_URL": "https://a.example", "ALL_PROXY": "socks://proxy:1"},
            "ALL_PROXY",
        ),
    ],
)
def test_invalid_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, variables: dict[str, str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ({"PORT": "0"} | variables).items():
        monkeypatch.setenv(name, value)
    with restored_logging():
        result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, ConfigurationError)  # `main` makes exit code 2 and one sentence of it
    assert sentence in str(result.exception)
    assert "hunter2" not in result.output + str(result.exception)


async def test_an_env_file_of_powershell_is_one_sentence(folder: Path) -> None:
    (folder / ".env").write_text("LOG_LEVEL=INFO\r\n", encoding="utf-16")
    outcome = await start_and_stop(folder, "dev")
    assert ".env is not encoded in UTF-8" in outcome.sentence


async def test_a_taken_port_is_one_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = await start_and_stop(folder, "serve", HOST="127.0.0.1", PORT=port)
    assert f"port {port} of 127.0.0.1 is taken" in outcome.sentence


async def test_plain_uvicorn_ends_with_one_sentence(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "backend.main:app", "--port", "0"),
        cwd=folder,
        env={**os.environ, "DATA_DIR": "/dev/null", "BETTER_AUTH_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 2
    assert output.startswith(b"task-service: the embedded PostgreSQL cannot use /dev/null")
    assert len(output.splitlines()) == 1
