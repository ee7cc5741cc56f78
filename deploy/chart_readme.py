"""Generates the chart's README from its values and their schema: `python -m deploy.chart_readme`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["main", "readme"]

_CHART = Path(__file__).parents[1] / "charts" / "task-service"

_HEAD = """# Chart of the task service

A trial, with an embedded PostgreSQL whose data is lost with its pod:

```sh
helm install demo charts/task-service --set database.embedded.enabled=true
```

In production, create Secrets with the PostgreSQL URL and the shared secret of the tokens:

```sh
kubectl create secret generic database --from-literal=url="$DATABASE_URL"
kubectl create secret generic auth --from-literal=secret="$BETTER_AUTH_SECRET"
helm install demo charts/task-service --set database.existingSecret=database --set auth.existingSecret=auth
```

To verify tokens with the frontend's public keys, pass `--set auth.betterAuthUrl=https://app.example.com` instead of the second Secret.
`helm test demo --logs` calls the service. [UPGRADING.md](UPGRADING.md) lists the changes between versions.
[docs/operations.md](../../docs/operations.md) describes migration, rollout and scaling. `ci/` has complete values files.

Rendering fails for invalid values, with a message that says what to change: an unknown name, an exceeded connection
budget, a deadline that is too short.

## Values

`make docs` generates this table from `values.schema.json` and `values.yaml`.

| value | default | meaning |
| --- | --- | --- |
"""


def readme() -> str:
    """Return the README as Markdown."""
    schema = json.loads((_CHART / "values.schema.json").read_text())
    values = yaml.safe_load((_CHART / "values.yaml").read_text())
    return _HEAD + "".join(_rows("", schema, values))


def main() -> None:
    """Write the README."""
    (_CHART / "README.md").write_text(readme())


def _rows(prefix: str, schema: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    for name, default in values.items():
        property_schema = schema["properties"][name]
        path = f"{prefix}{name}"
        if (
            default
            and isinstance(default, dict)
            and "properties" in property_schema
            and "requests" not in default
        ):
            yield from _rows(f"{path}.", property_schema, default)
        else:
            limits = _limits(property_schema)
            yield f"| `{path}` | `{json.dumps(default)}` | {property_schema['description']}{limits} |\n"


def _limits(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        # `--set` may pass a number as text, so the schema lists both; the table needs one.
        texts = {json.dumps(value) for value in schema["enum"] if not isinstance(value, str)}
        choices = [value for value in schema["enum"] if value not in texts]
        return " One of " + ", ".join(f"`{value}`" for value in choices) + "."
    if "maximum" in schema:
        return f" {schema['minimum']} to {schema['maximum']}."
    return ""


if __name__ == "__main__":
    main()
