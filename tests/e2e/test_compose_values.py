"""`docker compose` with other values than those of the example: another image, one kind of token, other profiles."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.docker import ROOT, Compose, docker, require_docker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OLD_LAYOUT = """
FROM postgres:18
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
"""
"""The data directory and the volume of the PostgreSQL images up to 17."""
SECRETS = {"POSTGRES_PASSWORD": "p", "BETTER_AUTH_SECRET": "s" * 32}


@pytest.fixture(autouse=True)
def _docker() -> None:
    require_docker()


@pytest.fixture
def project() -> str:
    return f"task-service-test-{secrets.token_hex(4)}"


@pytest.fixture
def old_image(project: str) -> Iterator[str]:
    name = f"{project}-postgres"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"], input=OLD_LAYOUT, text=True, check=True
    )
    yield name
    docker("rmi", "--force", name, check=False)


def configuration(*options: str, **environment: str) -> Any:
    """Return what compose makes of the file, without starting anything."""
    compose = Compose("task-service", environment, options=options)
    return json.loads(compose("config", "--format=json"))


def test_data_outlives_its_container_with_an_image_of_another_layout(project: str, old_image: str) -> None:
    compose = Compose(project, {**SECRETS, "POSTGRES_IMAGE": old_image})

    def psql(statement: str) -> str:
        return compose("exec", "-T", "db", "psql", "--host=/tmp", "-U", "tasks", "-qAtc", statement)

    try:
        compose("up", "--detach", "--wait", "db")
        psql("CREATE TABLE keep AS SELECT 7 AS value")
        compose("down", "--timeout=10")
        compose("up", "--detach", "--wait", "db")
        assert psql("TABLE keep").strip() == "7"
    finally:
        compose("down", "--volumes", "--timeout=5")


def test_a_frontends_address_is_enough_to_verify_tokens(project: str) -> None:
    environment = {"POSTGRES_PASSWORD": "p", "BETTER_AUTH_URL": "https://app.example.com"}
    compose = Compose(project, environment)
    try:
        shown = compose("run", "--rm", "--no-deps", "--build", "api", "config")
    finally:
        compose("down", "--volumes")
    assert "https://app.example.com" in shown


def test_without_a_way_to_verify_tokens_the_service_says_what_to_set(project: str) -> None:
    compose = ["docker", "compose", f"--project-name={project}"]
    environment = {**os.environ, "POSTGRES_PASSWORD": "p"}
    result = subprocess.run(
        [*compose, "run", "--rm", "--no-deps", "--build", "api"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    docker("compose", f"--project-name={project}", "down", "--volumes", environment=environment)
    assert result.returncode == 2
    assert "BETTER_AUTH_URL, BETTER_AUTH_SECRET or BETTER_AUTH_SECRET_FILE must be set" in result.stderr


@pytest.mark.parametrize(
    ("options", "profiles", "endpoint", "jaeger"),
    [
        (("--profile=obs",), "", "http://jaeger:4318", True),
        ((), "obs", "http://jaeger:4318", True),
        ((), "debug", "", False),
        ((), "", "http://collector.example.com:4318", False),
    ],
)
def test_traces_go_where_their_own_variable_says(
    options: tuple[str, ...], profiles: str, endpoint: str, *, jaeger: bool
) -> None:
    found = configuration(*options, **SECRETS, COMPOSE_PROFILES=profiles, TRACING_ENDPOINT=endpoint)
    assert found["services"]["api"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
    assert ("jaeger" in found["services"]) is jaeger


def test_nothing_of_the_checkout_is_mounted_and_every_port_can_be_moved() -> None:
    ports = {"PORT": "18000", "PROMETHEUS_PORT": "18001", "GRAFANA_PORT": "18002", "JAEGER_PORT": "18003"}
    services = configuration("--profile=obs", **SECRETS, **ports)["services"].values()
    mounts = [volume for service in services for volume in service.get("volumes", ())]
    assert {mount["type"] for mount in mounts} == {"volume"}
    published = [port["published"] for service in services for port in service.get("ports", ())]
    assert sorted(published) == sorted(ports.values())
