"""Values of the chart that are hard for YAML, made from its schema: a text in every place that takes one, every number at its bound."""

import copy
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it comes without types

from tests.support.helm import CHART

__all__ = ["ODD_TEXTS", "extreme_values", "odd_values"]

SCHEMA = json.loads((CHART / "values.schema.json").read_text())

ODD_TEXTS = (
    *("1e3", "012", "0x1f", "1.10", "20240101", "1-1", "2024-01-01", "1:30", "1_000", "9007199254740993"),
    *("true", "yes", "on", "null", "~", ".inf", "", "a: b", "# a", "- a", "{{ a }}", '"a', "'a", "a\nb", "ä"),
    *("a" * 40, "a" * 63, "a." * 60 + "a"),
)
"""What YAML or a template reads as something else than this text, and names that are as long as they may be."""

BASES: tuple[dict[str, Any], ...] = (
    {
        "database": {"existingSecret": "database"},
        "auth": {"existingSecret": "auth", "betterAuthUrl": ""},
        "ingress": {"enabled": True, "hosts": ["a.example"]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
        "monitoring": {
            "podMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "dashboards": {"enabled": True},
        },
        "autoscaling": {"enabled": True},
        "tracing": {"endpoint": "http://collector"},
    },
    {
        "externalSecret": {
            "enabled": True,
            "secretStoreRef": {"name": "store"},
            "remote": {"databaseUrl": {"key": "a"}},
        },
        "database": {"existingSecret": ""},
        "auth": {"existingSecret": "", "betterAuthUrl": "http://frontend"},
        "monitoring": {"serviceMonitor": {"enabled": True}},
    },
    {"database": {"embedded": {"enabled": True}, "existingSecret": ""}, "auth": {"existingSecret": ""}},
    {
        "database": {"existingSecret": "database"},
        "auth": {"existingSecret": "", "betterAuthUrl": "http://frontend"},
        "frontend": {
            "enabled": True,
            "existingSecret": "sessions",
            "autoscaling": {"enabled": True},
            "config": {"API_URL": "http://api", "SMTP_URL": "smtp://mail"},
        },
        "monitoring": {"serviceMonitor": {"enabled": True}},
    },
)
"""Releases that together render every template."""

TOGETHER = {
    *(
        "database.existingSecret",
        "auth.existingSecret",
        "auth.betterAuthUrl",
        "migrations.database.existingSecret",
    ),
    *(
        *(f"externalSecret.remote.authSecret.{name}" for name in ("key", "property", "version")),
        "frontend.service.name",
    ),
    *("preStopSeconds", "gracefulTimeoutSeconds", "terminationGracePeriodSeconds", "progressDeadlineSeconds"),
    *(
        "migrations.activeDeadlineSeconds",
        "database.maxConnections",
        "database.pool.prewarmSize",
        "database.pool.maxSize",
    ),
    *(
        "minReadySeconds",
        "autoscaling.targetCPUUtilizationPercentage",
        "autoscaling.minReplicas",
        "autoscaling.maxReplicas",
        "frontend.autoscaling.minReplicas",
        "frontend.autoscaling.maxReplicas",
        "frontend.extraEnv",
        "maxRequests",
        "maxRequestsJitter",
    ),
}
"""Values that validate.yaml judges together with others; tests of refusals are elsewhere."""

Path = tuple[str, ...]


def odd_values(text: str) -> Iterator[dict[str, Any]]:
    """Return releases with a text in every place whose schema accepts it, as it stands or as a path or URL."""
    for base in BASES:
        values = copy.deepcopy(base)
        for path, schema in _LEAVES:
            if (
                _get(base, path) is None
                and ".".join(path) not in TOGETHER
                and "number" not in schema.get("type", ())
            ):
                for each in (text, f"/{text}", f"http://{text}/"):
                    if (made := _made(schema, each)) is not None and _accepts(schema, made):
                        _set(values, path, made)
                        break
        yield values


def extreme_values(bound: str) -> Iterator[dict[str, Any]]:
    """Return releases with every number at its `minimum` or `maximum`."""
    for base in BASES:
        values = copy.deepcopy(base)
        for path, schema in _LEAVES:
            if bound in schema and ".".join(path) not in TOGETHER:
                _set(values, path, schema[bound])
        values["config"] = {
            "MAX_BODY_BYTES": 2097152,
            "LARGE": 9007199254740991,
            "NEGATIVE": -9007199254740991,
        }
        values["config"] |= {"DECIMAL": 0.1, "SMALL": 1e-7, "TRUE": True}
        yield values


def _leaves(path: Path, schema: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    schema = {**schema, **SCHEMA["definitions"].get(schema.get("$ref", "").rpartition("/")[2], {})}
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from _leaves((*path, name), inner)
    else:
        yield path, schema


def _made(schema: Mapping[str, Any], text: str) -> Any:
    """Return a value with the text in it: itself, an element or an entry."""
    schema = {**schema, **SCHEMA["definitions"].get(schema.get("$ref", "").rpartition("/")[2], {})}
    if "enum" in schema:
        return None
    if "string" in schema.get("type", ()):
        return text
    if schema.get("type") == "array" and (element := _made(schema["items"], text)) is not None:
        return [element]
    if "properties" in schema:
        return {
            name: made
            for name in schema.get("required", schema["properties"])
            if (made := _made(schema["properties"][name], text)) is not None
        } or None
    if isinstance(schema.get("additionalProperties"), dict):
        made = {text: text, "A": text, "NULL": text, "YES": text}
        return {key: value for key, value in made.items() if _accepts(schema, {key: value})} or None
    return None


def _accepts(schema: Mapping[str, Any], value: Any) -> bool:
    return bool(_validator(json.dumps(schema)).is_valid(value))


@functools.cache
def _validator(schema: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator({"definitions": SCHEMA["definitions"], **json.loads(schema)})


def _get(values: Mapping[str, Any], path: Path) -> Any:
    for name in path:
        values = values.get(name, {}) if isinstance(values, dict) else {}
    return values if values != {} else None


def _set(values: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


_LEAVES = tuple(_leaves((), SCHEMA))
