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
REQUIRED = {"POSTGRES_PASSWORD": "p", "FRONTEND_SECRET": "f" * 32}
SECRETS = {**REQUIRED, "BETTER_AUTH_SECRET": "s" * 32}


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
    environment = {**REQUIRED, "BETTER_AUTH_URL": "https://app.example.com"}
    compose = Compose(project, environment)
    try:
        shown = compose("run", "--rm", "--no-deps", "--build", "api", "config")
    finally:
        compose("down", "--volumes")
    assert "https://app.example.com" in shown


OWN_URL = "https://app.example.com/"
KEYS_OF_WEB = "http://web:3000/api/auth/jwks"


@pytest.mark.parametrize(
    ("environment", "url", "key_set", "secret"),
    [
        ({}, "http://localhost:3000", KEYS_OF_WEB, ""),
        ({"PUBLIC_URL": OWN_URL}, OWN_URL, KEYS_OF_WEB, ""),
        ({"BETTER_AUTH_URL": "", "BETTER_AUTH_SECRET": ""}, "http://localhost:3000", KEYS_OF_WEB, ""),
        ({"BETTER_AUTH_URL": OWN_URL}, OWN_URL, None, ""),
        ({"BETTER_AUTH_SECRET": "s" * 32}, "", None, "s" * 32),
    ],
)
def test_tokens_are_those_of_the_page_or_of_a_frontend_of_ones_own(
    environment: dict[str, str], url: str, key_set: str | None, secret: str
) -> None:
    found = configuration(**REQUIRED, **environment)["services"]["api"]["environment"]
    assert found["BETTER_AUTH_URL"] == url
    assert found.get("BETTER_AUTH_JWKS_URL") == key_set
    assert found["BETTER_AUTH_SECRET"] == secret


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "FRONTEND_SECRET"])
def test_a_missing_secret_is_named(name: str) -> None:
    environment = {**os.environ, **REQUIRED, name: ""}
    result = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode != 0
    assert f"required variable {name} is missing a value: set it in .env, see .env.example" in result.stderr


def test_versions_of_the_frontends_secret_reach_both_of_its_containers() -> None:
    services = configuration(**REQUIRED, FRONTEND_SECRETS="2:b,1:a")["services"]
    for name in ("web", "web-migrate"):
        assert services[name]["environment"]["BETTER_AUTH_SECRETS"] == "2:b,1:a"


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
    names = ("PORT", "WEB_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "JAEGER_PORT")
    ports = {name: str(18000 + number) for number, name in enumerate(names)}
    services = configuration("--profile=obs", **SECRETS, **ports)["services"].values()
    mounts = [volume for service in services for volume in service.get("volumes", ())]
    assert {mount["type"] for mount in mounts} == {"volume"}
    published = [port["published"] for service in services for port in service.get("ports", ())]
    assert sorted(published) == sorted(ports.values())
