"""Writes the chart's README from its schema and its values: `python -m deploy.chart_readme`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["main", "readme"]

_CHART = Path(__file__).parents[1] / "charts" / "task-service"

_HEAD = """# The chart of the task service

To try it out, with a PostgreSQL of its own whose data lives as long as its pod:

```sh
helm install demo charts/task-service --set database.embedded.enabled=true
```

In production, with the PostgreSQL URL and the tokens' shared secret in Secrets of yours:

```sh
kubectl create secret generic database --from-literal=url="$DATABASE_URL"
kubectl create secret generic auth --from-literal=secret="$BETTER_AUTH_SECRET"
helm install demo charts/task-service --set database.existingSecret=database --set auth.existingSecret=auth
```

or, with the frontend's public keys, `--set auth.betterAuthUrl=https://app.example.com` instead of the second Secret.
`helm test demo --logs` then calls it. [UPGRADING.md](UPGRADING.md) says what changes between versions;
[docs/operations.md](../../docs/operations.md) how it migrates, rolls out and scales; `ci/` has complete sets of values.

Impossible values are refused when they are given: an unknown name by `values.schema.json`, a connection budget that is
exceeded or a deadline that is too short by a sentence.

## Values

Made of `values.schema.json` and `values.yaml` by `make docs`.

| value | default | meaning |
| --- | --- | --- |
"""


def readme() -> str:
    """Return the README's text."""
    schema = json.loads((_CHART / "values.schema.json").read_text())
    values = yaml.safe_load((_CHART / "values.yaml").read_text())
    return _HEAD + "".join(_rows("", schema, values))


def main() -> None:
    """Write it."""
    (_CHART / "README.md").write_text(readme())


def _rows(prefix: str, schema: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    for name, default in values.items():
        described = schema["properties"][name]
        path = f"{prefix}{name}"
        if default and isinstance(default, dict) and "properties" in described and "requests" not in default:
            yield from _rows(f"{path}.", described, default)
        else:
            limits = _limits(described)
            yield f"| `{path}` | `{json.dumps(default)}` | {described['description']}{limits} |\n"


def _limits(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        # A number's text, as `--set` gives it, is the same choice.
        texts = {json.dumps(value) for value in schema["enum"] if not isinstance(value, str)}
        choices = [value for value in schema["enum"] if value not in texts]
        return " One of " + ", ".join(f"`{value}`" for value in choices) + "."
    if "maximum" in schema:
        return f" {schema['minimum']} to {schema['maximum']}."
    return ""


if __name__ == "__main__":
    main()
