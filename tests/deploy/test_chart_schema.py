"""The chart's schema is closed, and values, schema and README name the same."""

import json
from typing import Any

import yaml

from tests.support.helm import CHART


def objects_of(schema: Any) -> list[dict[str, Any]]:
    found = [schema] if isinstance(schema, dict) else []
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    return found + [inner for child in children for inner in objects_of(child)]


def test_schema_is_closed_wherever_it_names_properties_and_describes_each() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for found in objects_of(schema):
        if isinstance(found.get("properties"), dict) and found.get("type") == "object":
            assert found["additionalProperties"] is False
            for name, inner in found["properties"].items():
                assert inner.get("description") or found.get("description"), name


def test_schema_and_values_name_the_same() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) == set(schema["properties"]) - {"global", "enabled"}


def test_readme_is_what_the_schema_says() -> None:
    from deploy.chart_readme import readme

    assert (CHART / "README.md").read_text() == readme()
