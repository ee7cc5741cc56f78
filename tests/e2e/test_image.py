"""The image: small, without root, without a shell, with a list of what it holds."""

import contextlib
import io
import json
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx
import pytest

from tests.support.docker import copy_checkout, docker, repository_files, require_docker, wait_for
from tests.support.waiting import scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TAG = "task-service:test"
SIZE_BUDGET_MEGABYTES = 100
"""What we add to the base image."""
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")


PLANTED = "planted-secret"
LEFT_BEHIND = (
    *(
        ".env",
        ".env.production",
        "backend/.env",
        "backend/.env.local",
        "backend/db/.env",
        "backend/api/prod.env",
    ),
    *(
        "backend/key.pem",
        "backend/auth/id_rsa",
        "backend/auth/private.key",
        "backend/.pgpass",
        "backend/dump.sql",
    ),
    *("backend/.git/config", "backend/__pycache__/config.cpython-313.pyc", "backend/.cache/token"),
    *("backend/api/.ssh/id_ed25519", "backend/.netrc", "tests/conftest.py", ".git/config", "deploy/token.py"),
)
"""What may lie in a checkout and belongs in no image."""


@pytest.fixture(scope="module", autouse=True)
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the image from a checkout in which secrets and caches lie about."""
    require_docker()
    folder = copy_checkout(tmp_path_factory.mktemp("checkout"))
    for name in LEFT_BEHIND:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(PLANTED)
    docker("buildx", "build", "--load", "--tag", TAG, str(folder))
    return folder


def run(*command: str, entrypoint: str = "python") -> "subprocess.CompletedProcess[str]":
    arguments = ["docker", "run", "--rm", *HARDENED, "--entrypoint", entrypoint, TAG, *command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_the_image_adds_no_more_than_its_budget() -> None:
    base, ours = (
        int(docker("image", "inspect", name, "--format", "{{.Size}}")) for name in ("python:3.13-slim", TAG)
    )
    megabytes = (ours - base) / 1e6
    print(f"image: {ours / 1e6:.0f} MB, {megabytes:.0f} MB more than its base")
    assert megabytes < SIZE_BUDGET_MEGABYTES


def test_the_user_is_a_number_other_than_root_and_owns_nothing_it_runs() -> None:
    assert docker("image", "inspect", TAG, "--format", "{{.Config.User}}").strip() == "10001:10001"
    found = run(
        "-c", "import os, sys; print(os.getuid(), os.access(sys.prefix, os.W_OK), os.access('/app', os.W_OK))"
    )
    assert found.stdout.split() == ["10001", "False", "False"], found.stderr


def test_nothing_but_source_files_reaches_the_build_or_the_image(checkout: Path) -> None:
    sent = subprocess.run(
        ["docker", "buildx", "build", "--output=type=tar,dest=-", "--file=-", str(checkout)],
        input=b"FROM scratch\nCOPY . /\n",
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(sent.stdout)) as archive:
        files = {member.name for member in archive if member.isfile()}
    top = {"pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-dev.lock"}
    assert files == {*repository_files("backend"), *top}
    script = (
        "import pathlib, sys; files = [p for p in pathlib.Path('/app').rglob('*') if p.is_file()];"
        "print(len(files) > 1000, [str(p) for p in files if sys.argv[1].encode() in p.read_bytes()])"
    )
    assert run("-c", script, PLANTED).stdout.strip() == "True []"


def test_no_source_and_no_build_tool_is_left_in_it() -> None:
    listing = run(
        "-c", "import os, shutil; print(os.listdir('/app'), shutil.which('uv'), os.path.exists('/src'))"
    )
    assert listing.stdout.strip() == "['.venv'] None False"
    installed = run("-c", "import backend; print(backend.__path__[0])")
    assert installed.stdout.startswith("/app/.venv/lib/")


def test_the_sbom_names_every_distribution_in_it() -> None:
    script = (
        "import sys, json, importlib.metadata as m;"
        "sbom = json.load(open(sys.prefix + '/share/sbom.cdx.json'));"
        "print(json.dumps([sorted(d.name for d in m.distributions()), [c['name'] for c in sbom['components']]]))"
    )
    present, listed = json.loads(run("-c", script).stdout)
    assert len(present) > 30
    assert set(present) <= set(listed)


def test_the_commands_need_no_package_that_was_left_out() -> None:
    script = "import importlib.util as u; print([n for n in ('rich', 'pygments') if u.find_spec(n)])"
    assert run("-c", script).stdout.strip() == "[]"
    result = run("--help", entrypoint="task-service")
    assert (result.returncode, "migrate" in result.stdout) == (0, True), result.stderr


def test_a_setting_that_is_missing_is_one_line_and_no_start() -> None:
    result = run("serve", entrypoint="task-service")
    assert result.returncode == 2
    assert (
        result.stderr
        == "task-service: DATABASE_URL or DATABASE_URL_FILE must be set unless ENVIRONMENT=development\n"
    )


@pytest.fixture
def database() -> Iterator[tuple[str, tuple[str, ...]]]:
    """A migrated PostgreSQL on a network of its own, and the options of a container that uses it."""
    name = f"task-service-test-{secrets.token_hex(4)}"
    password = secrets.token_hex(16)
    url = f"postgresql://tasks:{password}@{name}:5432/tasks"
    options = (
        *("--network", name, "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--tmpfs=/run/app:uid=10001"),
        *("--env", f"DATABASE_URL={url}", "--env", f"BETTER_AUTH_SECRET={secrets.token_hex(32)}"),
    )
    docker("network", "create", name)
    try:
        docker(
            *("run", "--detach", "--rm", "--name", name, "--network", name, "--env", "POSTGRES_USER=tasks"),
            *("--env", f"POSTGRES_PASSWORD={password}", "postgres:18"),
        )
        docker("run", "--rm", *options, TAG, "migrate")
        yield name, options
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("network", "rm", name, check=False)


@pytest.mark.serial
def test_it_serves_soon_after_its_start(database: tuple[str, tuple[str, ...]]) -> None:
    name, options = database
    seconds = []
    for number in range(5):
        container, port = f"{name}-{number}", free_port()
        started = time.perf_counter()
        docker(
            "run", "--detach", "--rm", "--name", container, f"--publish=127.0.0.1:{port}:9000", *options, TAG
        )
        try:
            wait_for(lambda port=port: is_ready(port) or None, 30)  # type: ignore[misc]  # a default binds it
            seconds.append(time.perf_counter() - started)
        finally:
            docker("rm", "--force", container, check=False)
    print(f"image: ready {median(seconds):.1f} s after `docker run`, the median of five")
    assert median(seconds) < 15


def is_ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=scaled(2)).status_code == 200
    return False


def test_labels_say_what_it_is() -> None:
    labels = json.loads(docker("image", "inspect", TAG, "--format", "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.title"] == "task-service"
    assert labels["org.opencontainers.image.licenses"] == "MIT"
