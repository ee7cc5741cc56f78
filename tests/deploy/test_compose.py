"""docker-compose.yml: the services that start by default, their hardening, and who gets which secret."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OBSERVABILITY = {"prometheus", "grafana", "jaeger"}
DATABASES = {"db", "shard1", "shard2"}
SHARDS = {"shard1", "shard2", "router", "migrate-shards", "api-shards"}


def test_up_starts_the_page_with_the_service() -> None:
    default = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert default == {"db", "migrate", "api", "web-migrate", "web"}
    profiles = {name: str(SERVICES[name]["profiles"]) for name in SERVICES.keys() - default}
    assert profiles == dict.fromkeys(OBSERVABILITY, "['obs']") | dict.fromkeys(SHARDS, "['shards']")


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - DATABASES))
def test_every_service_but_the_databases_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}


def test_ports_are_open_to_this_machine_only() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.keys() == {"api", "api-shards", "web", *OBSERVABILITY}
    for (port,) in ports.values():
        assert port.startswith("127.0.0.1:${")


@pytest.mark.parametrize(("server", "migration"), [("api", "migrate"), ("web", "web-migrate")])
def test_a_server_starts_after_its_migration_from_the_same_image(server: str, migration: str) -> None:
    one, other = SERVICES[server], SERVICES[migration]
    assert one["depends_on"] == {migration: {"condition": "service_completed_successfully"}}
    assert other["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert (one["image"], one["build"]) == (other["image"], other["build"])
    assert other["command"] == ["migrate"]
    assert one["restart"] == "unless-stopped"
    assert "mem_limit" in one


def test_service_before_the_shards_differs_in_its_database_only() -> None:
    one, other = SERVICES["api"], SERVICES["api-shards"]
    differing = {name for name in other if name != "profiles" and other[name] != one.get(name)}
    assert differing == {"environment", "ports", "depends_on"}
    changed = {name for name, value in other["environment"].items() if value != one["environment"].get(name)}
    assert changed == {"DATABASE_URL", "DATABASE_POOLER"}
    assert other["depends_on"]["migrate-shards"] == {"condition": "service_completed_successfully"}
    urls = SERVICES["migrate-shards"]["environment"]["DATABASE_SHARD_URLS"].split(",")
    assert [urlsplit(url).hostname for url in urls] == ["shard1", "shard2"]


def test_page_stops_after_its_requests() -> None:
    """DRAIN_SECONDS and GRACEFUL_TIMEOUT_SECONDS are 5 and 25 by default."""
    assert int(SERVICES["web"]["stop_grace_period"].removesuffix("s")) > 30


def test_each_secret_goes_to_its_own_program() -> None:
    receives = {
        secret: {name for name, service in SERVICES.items() if f"${{{secret}" in str(service)}
        for secret in ("BETTER_AUTH_SECRET", "FRONTEND_SECRET", "FRONTEND_SECRETS", "SMTP_URL")
    }
    # In the service it also selects the file of the page's tokens.
    assert receives["BETTER_AUTH_SECRET"] == {"api", "api-shards"}
    assert receives["FRONTEND_SECRET"] == receives["FRONTEND_SECRETS"] == {"web", "web-migrate"}
    assert receives["SMTP_URL"] == {"web"}


def test_variables_of_the_page_are_its_settings() -> None:
    settings = (ROOT / "frontend" / "server" / "settings.ts").read_text()
    names = SERVICES["web"]["environment"].keys() - {"PGPASSWORD"}
    assert len(names) > 6
    assert [name for name in names if f'"{name}"' not in settings] == []


def test_files_of_the_tokens_exist() -> None:
    always, page = SERVICES["api"]["env_file"]
    assert (ROOT / always).exists()
    assert (ROOT / page["path"].partition("$")[0]).exists()
    assert page["required"] is False


def test_prometheus_scrapes_the_service_and_the_page_as_two_jobs() -> None:
    configuration = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())
    targets = {
        each["job_name"]: each["static_configs"][0]["targets"] for each in configuration["scrape_configs"]
    }
    assert targets == {"task-service": ["api:9000"], "task-service-web": ["web:9000"]}
    assert {target.split(":")[0] for found in targets.values() for target in found} <= SERVICES.keys()
