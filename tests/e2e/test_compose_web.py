"""`docker compose up`, with the page: from sign-up to a task through one origin, and again after a restart."""

import os
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.docker import Compose, copy_checkout, docker, require_docker, wait_for
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


class Deployment:
    """The running project, and a person with a browser."""

    def __init__(self, compose: Compose, url: str) -> None:
        self.compose = compose
        self.client = httpx.Client(base_url=url, headers={"Origin": url}, timeout=30)

    def up(self) -> None:
        self.compose("up", "--build", "--wait", "--detach", check=False)
        wait_for(lambda: self.compose.states()["web"]["Health"] == "healthy" or None, 60)

    def post(self, endpoint: str, **body: str) -> httpx.Response:
        return self.client.post(f"/api/auth/{endpoint}", json=body)

    def tasks(self, method: str, user: str, **options: Any) -> httpx.Response:
        token = self.client.get("/api/auth/token").json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.request(method, f"/api/{user}/tasks", headers=headers, **options)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    require_docker()
    folder = copy_checkout(tmp_path_factory.mktemp("checkout"), umask=0o077)
    ports = {name: str(free_port()) for name in ("PORT", "WEB_PORT")}
    url = f"http://127.0.0.1:{ports['WEB_PORT']}"
    lines = {
        "POSTGRES_PASSWORD": secrets.token_hex(16),
        "FRONTEND_SECRET": secrets.token_hex(32),
        "PUBLIC_URL": url,
    }
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in lines.items()))
    compose = Compose(
        f"task-service-web-{secrets.token_hex(4)}",
        {
            "VERSION": f"web-{secrets.token_hex(4)}",
            **ports,
            "NODE_IMAGE": os.environ.get("NODE_IMAGE", "node:24-slim"),
        },
        folder=folder,
    )
    deployment = Deployment(compose, url)
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.client.close()
        compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


def test_from_sign_up_to_a_task_and_again_after_down_and_up(deployment: Deployment) -> None:
    body = {"name": "Ada", "email": "ada@example.com", "password": "a long password"}
    user = deployment.post("sign-up/email", **body).json()["user"]["id"]
    assert deployment.tasks("POST", user, json={"title": "Buy milk"}).status_code == 201
    assert '"level":"error"' not in deployment.compose("logs", "web", "api")

    deployment.compose("down", "--timeout", "30")
    deployment.up()
    tasks = deployment.tasks("GET", user).json()["tasks"]
    assert [task["title"] for task in tasks] == ["Buy milk"]
    assert deployment.post("sign-in/email", email=body["email"], password=body["password"]).status_code == 200


def test_it_is_hardened_and_small(deployment: Deployment) -> None:
    # A new process, which has served nothing.
    deployment.compose("restart", "--timeout", "30", "web")
    wait_for(lambda: deployment.compose.states()["web"]["Health"] == "healthy" or None, 60)
    container = deployment.compose.states()["web"]["ID"]
    template = (
        "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}}"
    )
    assert docker("inspect", container, "--format", template).strip() == (
        "true [ALL] [no-new-privileges:true] 10001:10001"
    )
    image, base = (
        int(docker("image", "inspect", name, "--format", "{{.Size}}"))
        for name in (docker("inspect", container, "--format", "{{.Image}}").strip(), "node:24-slim")
    )
    resident = docker("exec", container, "node", "-p", "require('fs').readFileSync('/proc/1/status', 'utf8')")
    kibibytes = next(int(line.split()[1]) for line in resident.splitlines() if line.startswith("VmRSS"))
    print(f"image {(image - base) / 1e6:.1f} MB over its base; {kibibytes / 1024:.0f} MiB resident")
    assert image - base <= 60_000_000
    assert kibibytes * 1024 <= 100_000_000
    assert "node_modules" not in docker("exec", container, "ls", "/app")
