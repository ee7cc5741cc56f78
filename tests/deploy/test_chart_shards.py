"""Migration and purge get the URLs of the shards; the service does not."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.helm import Manifest, render, require_helm

PRODUCTION = ("database.existingSecret=database", "auth.existingSecret=auth", "database.pooler=spqr")
FILE = "/etc/task-service/shard-urls"


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


def sources(spec: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return secret, key and file of each file of secrets."""
    found = next(volume for volume in spec["volumes"] if volume["name"] == "secrets")["projected"]["sources"]
    items = [(each["secret"]["name"], *each["secret"]["items"]) for each in found]
    return [(name, item["key"], item["path"]) for name, item in items]


def pods(objects: Mapping[tuple[str, str], Manifest]) -> dict[str, dict[str, Any]]:
    """Return the specification of the pods by kind of their owner."""
    specs = {kind: manifest.get("spec", {}) for (kind, _), manifest in objects.items()}
    purge = specs["CronJob"]["jobTemplate"]["spec"]
    templates = {"Job": specs["Job"], "CronJob": purge, "Deployment": specs["Deployment"]}
    return {kind: spec["template"]["spec"] for kind, spec in templates.items()}


@pytest.mark.parametrize(
    ("values", "source"),
    [
        (("migrations.shards.existingSecret=shards",), ("shards", "urls", "shard-urls")),
        (
            ("migrations.shards.existingSecret=shards", "migrations.shards.key=all"),
            ("shards", "all", "shard-urls"),
        ),
        (
            (
                "database.existingSecret=",
                "externalSecret.enabled=true",
                "externalSecret.secretStoreRef.name=vault",
                "externalSecret.remote.databaseUrl.key=tasks",
                "externalSecret.remote.shardUrls.key=tasks",
            ),
            ("demo-task-service-external", "shard-urls", "shard-urls"),
        ),
    ],
)
def test_only_migration_and_purge_get_the_urls_of_shards(
    values: tuple[str, ...], source: tuple[str, str, str]
) -> None:
    specs = pods(render(*PRODUCTION, *values))
    for kind in ("Job", "CronJob"):
        assert source in sources(specs[kind])
        (container,) = specs[kind]["containers"]
        assert {"name": "DATABASE_SHARD_URLS_FILE", "value": FILE} in container["env"]
    deployment = specs["Deployment"]
    assert source not in sources(deployment)
    for container in (*deployment["containers"], *deployment["initContainers"]):
        assert "DATABASE_SHARD_URLS_FILE" not in {each["name"] for each in container["env"]}
        assert {"name": "DATABASE_POOLER", "value": "spqr"} in container["env"]


def test_key_of_the_external_secret_is_mapped() -> None:
    objects = render(
        *("auth.existingSecret=auth", "externalSecret.enabled=true"),
        "externalSecret.secretStoreRef.name=vault",
        *(f"externalSecret.remote.{name}.key=prod" for name in ("databaseUrl", "shardUrls")),
    )
    data = next(manifest for (kind, _), manifest in objects.items() if kind == "ExternalSecret")["spec"][
        "data"
    ]
    assert {"secretKey": "shard-urls", "remoteRef": {"key": "prod"}} in data
