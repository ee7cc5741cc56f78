"""Renders the chart's alerting rules for a Prometheus without its operator: `python -m deploy.render_rules`."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["COMPOSE_RULES", "COMPOSE_VALUES", "main", "render_rules", "rules"]

_ROOT = Path(__file__).parents[1]
_CHART = _ROOT / "charts" / "task-service"
_RELEASE = {
    "database": {"embedded": {"enabled": True}},
    "frontend": {"enabled": True, "existingSecret": "frontend"},
    "auth": {"betterAuthUrl": "http://localhost:3000"},
}
_OPTIONS = ("--namespace=default", "--show-only=templates/prometheusrule.yaml")
_HEADER = "# Rendered from charts/task-service/alerts by `make prometheus-rules`.\n"

COMPOSE_RULES = _ROOT / "deploy" / "compose" / "alerts" / "task-service.yaml"
"""Rule file of the Prometheus in `docker compose`."""

COMPOSE_VALUES: Mapping[str, Any] = {
    "selector": 'job="task-service"',
    "frontendSelector": 'job="task-service-web"',
    "prometheusRule": {"kubernetes": False, "postgres": False},
}
"""Value `monitoring` that matches the scrape configuration of `docker compose`."""


def rules(monitoring: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a Prometheus rule file for the service and the frontend.

    Args:
        monitoring: Overrides of the chart's value `monitoring`.

    Raises:
        subprocess.CalledProcessError: helm rejects the values; its message is on standard error.
    """
    values = {**monitoring, "prometheusRule": {"enabled": True, **monitoring.get("prometheusRule", {})}}
    text = subprocess.run(  # noqa: S603 - fixed arguments
        ["helm", "template", "task-service", str(_CHART), "--values=-", *_OPTIONS],  # noqa: S607 - from PATH
        input=json.dumps({**_RELEASE, "monitoring": values}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    specification: dict[str, Any] = yaml.safe_load(text)["spec"]
    return specification


def render_rules(monitoring: Mapping[str, Any]) -> str:
    """Return the rule file as YAML."""
    return _HEADER + yaml.dump(rules(monitoring), sort_keys=False, width=10_000, Dumper=_Dumper)


def main() -> None:
    """Write the rule file of `docker compose`."""
    COMPOSE_RULES.write_text(render_rules(COMPOSE_VALUES))


class _Dumper(yaml.SafeDumper):
    """Writes multi-line expressions as block scalars."""


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_str)

if __name__ == "__main__":
    main()
