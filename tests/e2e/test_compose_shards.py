"""`docker compose --profile shards up`: the service before two PostgreSQL servers and their router."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.config import Settings
from backend.devtools.development_token import make_token
from deploy.shards.sharded_postgres import PROGRAM
from tests.support.docker import ROOT, Compose, configured_checkout, docker, require_docker, wait_for
from tests.support.waiting import scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PASSWORD = r"""a/b#c@d$e${f}%41?g:h"i j\k&l=m'n"""
"""Every character that has a meaning in a URL, in YAML, in a shell or in `.env`."""

STAND_IN = f"""
FROM python:3.13-slim
COPY {PROGRAM} /usr/local/bin/
"""
USERS = [f"user-{number}" for number in range(8)]


class Deployment:
    """The services of the profile, and a client of the one before the router."""

    def __init__(self, folder: Path, image: str) -> None:
        port = str(free_port())
        self.secret = configured_checkout(folder, PASSWORD)
        self.compose = Compose(
            f"task-service-test-{secrets.token_hex(4)}",
            {"SHARDS_PORT": port, "SPQR_IMAGE": image, "VERSION": secrets.token_hex(4)},
            folder=folder,
            options=("--profile=shards",),
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=scaled(5))

    def request(self, method: str, user: str, **options: Any) -> httpx.Response:
        token = make_token(Settings(better_auth_secret=self.secret), user, lifetime_seconds=3600)
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.request(method, f"/api/{user}/tasks", headers=headers, **options)

    def has_one_task(self, user: str) -> bool | None:
        """Whether a user has exactly one task; None also while the tasks cannot be read."""
        answer = self.request("GET", user)
        return (answer.status_code == 200 and answer.json()["count"] == 1) or None

    def users_on(self, shard: str) -> list[str]:
        query = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U tasks -d tasks -qAt -c "SELECT id FROM users"'
        return self.compose("exec", "-T", shard, "sh", "-c", query).split()

    def is_ready(self) -> bool | None:
        states = self.compose.states()
        return (
            states["api-shards"]["Health"] == "healthy" and self.request("GET", USERS[0]).status_code == 200
        ) or None


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The router's image: the public one, or a stand-in for it with the program of the PATH."""
    require_docker()
    if given := os.environ.get("SPQR_IMAGE"):
        yield given
        return
    program = shutil.which(PROGRAM)
    if program is None:
        reason = f"{PROGRAM} is not on the PATH and SPQR_IMAGE is not set"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("router")
    shutil.copy(program, folder / PROGRAM)
    (folder / PROGRAM).chmod(0o755)
    (folder / "Dockerfile").write_text(STAND_IN)
    name = f"spqr-router:test-{secrets.token_hex(4)}"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, folder], check=True, capture_output=True)
    yield name
    docker("rmi", name, check=False)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("checkout"), image)
    try:
        deployment.compose("up", "--build", "--detach", "api-shards")
        wait_for(deployment.is_ready, scaled(30))
        yield deployment
    finally:
        deployment.client.close()
        deployment.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


def test_every_user_is_on_one_shard_and_keeps_the_tasks(deployment: Deployment) -> None:
    for user in USERS:
        answer = deployment.request("POST", user, json={"title": "Buy milk"})
        assert answer.status_code == 201, answer.text
    found = [deployment.users_on(shard) for shard in ("shard1", "shard2")]
    assert sorted([*found[0], *found[1]]) == USERS
    assert all(found)
    deployment.compose("restart", "--timeout", "5", "router", "shard1")
    wait_for(deployment.is_ready, scaled(30))
    for user in USERS:
        wait_for(partial(deployment.has_one_task, user), scaled(10))


def test_shards_have_the_limits_of_the_service(deployment: Deployment) -> None:
    query = (
        'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U tasks -d tasks -qAt'
        ' -c "SHOW statement_timeout" -c "SHOW lock_timeout" -c "SHOW plan_cache_mode"'
    )
    for shard in ("shard1", "shard2"):
        shown = deployment.compose("exec", "-T", shard, "sh", "-c", query).split()
        assert shown == ["5s", "2s", "force_generic_plan"]


def test_router_is_hardened_and_does_not_log_the_password(deployment: Deployment) -> None:
    states = deployment.compose.states()
    assert (states["migrate-shards"]["State"], states["migrate-shards"]["ExitCode"]) == ("exited", 0)
    template = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.User}}"
    assert docker("inspect", states["router"]["ID"], "--format", template).strip() == "true [ALL] 10001:10001"
    assert PASSWORD[:10] not in deployment.compose("logs", "router", "api-shards")


def test_default_image_is_a_release_of_spqr() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.search(r"FROM \$\{SPQR_IMAGE:-pgsharding/spqr-router:\d+\.\d+\.\d+\}", text)
