"""The chart with `frontend.enabled`, and the objects that it renders."""

from typing import Any

from tests.support.helm import Manifest, template

__all__ = ["FRONTEND", "ORIGIN", "of", "rendered", "values"]

ORIGIN = "https://tasks.example.com"
FRONTEND = {"enabled": True, "existingSecret": "sessions"}


def values(**frontend: Any) -> dict[str, Any]:
    return {
        "database": {"existingSecret": "database"},
        "auth": {"betterAuthUrl": ORIGIN},
        "frontend": FRONTEND | frontend,
        "ingress": {"enabled": True, "hosts": ["tasks.example.com"]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    }


def rendered(values: dict[str, Any]) -> list[Manifest]:
    manifests, error = template(values)
    assert error == ""
    return manifests


def of(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the object of this name, or the only one whose name begins so."""
    found = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"].startswith(name)]
    exact = [each for each in found if each["metadata"]["name"] == name]
    (one,) = exact or found
    return one
