"""The commands that a developer runs."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.db.schema import SCHEMA
from tests.support.waiting import timeout

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("task-service")
RUNNER = CliRunner()


@pytest.fixture
def folder(postgres_folder: Path, tmp_path: Path) -> Path:
    """A project folder that PostgreSQL's user can enter too."""
    made = postgres_folder / tmp_path.name
    made.mkdir()
    return made


async def start(folder: Path, *arguments: str, **variables: str) -> tuple[asyncio.subprocess.Process, str]:
    """Run `task-service dev` until it says how to stop it; return what it said."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "dev",
        *arguments,
        cwd=folder,
        env=os.environ | {"DATA_DIR": str(folder / "data"), "PYTHONUNBUFFERED": "1"} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    async with timeout(40):
        while "Ctrl-C stops it." not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
    return process, said


async def stop(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)
    async with timeout(10):
        await process.communicate()
    assert process.returncode == 0


async def shell(line: str) -> str:
    process = await asyncio.create_subprocess_exec(
        shutil.which("bash") or "bash",
        "-c",
        line,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return (await process.communicate())[0].decode()


def servers(folder: Path) -> int:
    """Count the PostgreSQL servers of this folder."""
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return sum(b"postgres\0-D" in command and bytes(folder) in command for command in commands)


@pytest.fixture
async def taken_port() -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


async def test_dev_serves_prints_a_working_curl_command_and_keeps_the_data(
    folder: Path, taken_port: int
) -> None:
    process, said = await start(folder, PORT=str(taken_port))
    assert f"Port {taken_port} is taken" in said
    address = re.search(r"(http://127\.0\.0\.1:\d+)/docs", said)
    assert address is not None
    line = said[said.index("curl ") : said.index("Ctrl-C")].replace("\\\n", " ")
    task = json.loads(await shell(line))
    assert (task["user_id"], task["title"]) == ("developer", "Buy milk")
    assert servers(folder) == 1
    await stop(process)
    assert servers(folder) == 0

    process, said = await start(folder, PORT="0")
    line = said[said.index("curl ") : said.index("Ctrl-C")].replace("\\\n", " ")
    listed = json.loads(await shell(re.sub(r"--json '[^']*'", "", line)))
    assert listed["tasks"] == [task]
    await stop(process)


async def test_dev_migrates_the_configured_database_and_names_the_issuer_of_tokens(
    folder: Path, empty_database_url: str
) -> None:
    frontend = "http://127.0.0.1:9"
    process, said = await start(folder, PORT="0", DATABASE_URL=empty_database_url, BETTER_AUTH_URL=frontend)
    assert f"Tokens come from {frontend}." in said
    assert "curl" not in said
    await stop(process)
    connection = await asyncpg.connect(empty_database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM tasks") == 0
    finally:
        await connection.close()
    assert servers(folder) == 0


async def test_dev_fails_if_the_requested_port_is_taken(folder: Path, taken_port: int) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "dev", "--port", str(taken_port), cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode == 2
    assert re.fullmatch(rf"task-service: port {taken_port} of .* is taken; .* --port\n", error.decode())


def test_serve_starts_and_reports_an_unreachable_database(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, arguments: started.append(arguments))
    # No server listens on port 9 (discard).
    monkeypatch.setenv("DATABASE_URL", "postgresql://alice@127.0.0.1:9/tasks")
    result = RUNNER.invoke(app, ["serve"])
    assert (result.exit_code, result.stderr) == (0, "task-service: the database does not answer yet\n")
    assert [arguments[1:3] for arguments in started] == [["-m", "gunicorn"]]


async def test_migrate_without_a_url_migrates_the_embedded_database(folder: Path) -> None:
    for _ in range(2):  # the second time there is nothing left to do
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            "migrate",
            cwd=folder,
            env=os.environ | {"DATA_DIR": str(folder / "data")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        assert SCHEMA.head_revision in said.decode()
        assert servers(folder) == 0
