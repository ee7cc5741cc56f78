"""The ports that a release's pods may reach: those of the other pods, not those of the Services before them."""

from typing import Any

import pytest

from tests.support.helm import require_helm, template

PRODUCTION: dict[str, Any] = {
    "database": {"existingSecret": "database"},
    "auth": {"existingSecret": "auth"},
}


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


def egress(values: dict[str, Any], component: str) -> list[list[int | str]]:
    found, refused = template(values)
    assert refused == ""
    (policy,) = (
        each
        for each in found
        if each["kind"] == "NetworkPolicy"
        and each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    )
    return [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]][1:]


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({"auth": {"betterAuthUrl": "http://frontend"}}, [80, 3000]),
        ({"auth": {"betterAuthUrl": "http://[fd00::1]"}}, [80, 3000]),
        ({"auth": {"betterAuthUrl": "https://user@app.example.com:8443/auth"}}, [8443, 3000]),
        (
            {
                "auth": {"betterAuthUrl": "https://app.example.com"},
                "config": {"BETTER_AUTH_JWKS_URL": "http://frontend:3333/api/auth/jwks"},
            },
            [443, 3333, 3000],
        ),
        (
            {
                "auth": {"betterAuthUrl": "https://app.example.com"},
                "extraEnv": [{"name": "BETTER_AUTH_JWKS_URL", "value": "http://frontend/jwks"}],
                "networkPolicy": {"frontendPorts": [8080]},
            },
            [443, 80, 8080],
        ),
    ],
)
def test_key_set_is_reached_at_the_urls_port_and_at_the_frontends_pods(
    values: dict[str, Any], ports: list[int]
) -> None:
    """A policy sees a packet behind the Service's translation, at the port of the pod."""
    values = {"database": {"existingSecret": "database"}} | values
    assert egress(values, "api") == [[5432], ports]
    assert egress(values, "test") == [["http"], ports]


def test_collector_and_pooler_are_reached_at_their_pods_ports() -> None:
    values = PRODUCTION | {
        "tracing": {"endpoint": "http://collector"},
        "networkPolicy": {"databasePorts": [5432, 6432], "collectorPorts": [4318, 14318]},
    }
    assert egress(values, "api") == [[5432, 6432], [80, 4318, 14318]]
    assert egress(values, "migration") == [[5432, 6432]]
