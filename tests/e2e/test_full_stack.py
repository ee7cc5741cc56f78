"""`make full` in a fresh clone, on a machine without Node.js: from sign-up to a task, Ctrl-C, and the same data again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_first_hour import environment
from tests.support.docker import ROOT
from tests.support.waiting import scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

NODE = {"node", "nodejs", "npm", "npx", "corepack"}
PASSWORD = "a long password"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clone this repository."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a person without configuration and without Node.js."""
    programs = tmp_path / "programs"
    programs.mkdir()
    found = environment(free_port())
    for directory in map(Path, found["PATH"].split(os.pathsep)):
        for program in directory.iterdir() if directory.is_dir() else ():
            if program.name not in NODE and not (programs / program.name).exists(follow_symlinks=False):
                (programs / program.name).symlink_to(program)
    return found | {"PATH": str(programs), "WEB_PORT": str(free_port())}


@contextlib.contextmanager
def make_full(folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """Run `make full` until it says what to open; at the end press Ctrl-C and wait for its end."""
    said = folder.parent / "said"
    started = time.perf_counter()
    with said.open("wb") as output:
        process = subprocess.Popen(
            ["make", "full"],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while "Ctrl-C stops it" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.perf_counter() - started < scaled(150), said.read_text()
            time.sleep(0.1)
        print(f"make full: ready after {time.perf_counter() - started:.0f} s")
        yield said.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(scaled(15))


def processes_of(variables: dict[str, str]) -> list[str]:
    """Return the command lines of the processes that were started with this environment, by whatever parent."""
    mark = f"WEB_PORT={variables['WEB_PORT']}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # not a process, or one that has ended meanwhile
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def call(client: httpx.Client, method: str, user: str, **options: Any) -> httpx.Response:
    token = client.get("/api/auth/token").raise_for_status().json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return client.request(method, f"/api/{user}/tasks", headers=headers, **options)


def test_from_sign_up_to_a_task_and_again_after_ctrl_c(folder: Path, variables: dict[str, str]) -> None:
    url = f"http://localhost:{variables['WEB_PORT']}"
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=scaled(10)) as client:
        with make_full(folder, variables) as said:
            assert "Installing Node.js below .cache" in said
            assert f"Open {url} and sign up" in said
            assert '<div id="app">' in client.get("/").text
            body = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
            user = client.post("/api/auth/sign-up/email", json=body).raise_for_status().json()["user"]["id"]
            assert call(client, "POST", user, json={"title": "Buy milk"}).status_code == 201
            running = " ".join(processes_of(variables))
            assert all(name in running for name in ("dist/server/main.js", "task-service dev", "postgres"))
        assert processes_of(variables) == []
        with pytest.raises(httpx.ConnectError):
            client.get("/")

        with make_full(folder, variables) as said:
            assert "Installing" not in said
            # The session as well: its secret is part of the data.
            tasks = call(client, "GET", user).raise_for_status().json()["tasks"]
            assert [task["title"] for task in tasks] == ["Buy milk"]
        assert processes_of(variables) == []
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert changed.stdout == ""
