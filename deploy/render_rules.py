"""Writes the chart's rules for a Prometheus without its operator: `python -m deploy.render_rules`."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["COMPOSE_RULES", "COMPOSE_VALUES", "main", "render_rules", "rules"]

_ROOT = Path(__file__).parents[1]
_CHART = _ROOT / "charts" / "task-service"
_OPTIONS = ("--namespace=default", "--show-only=templates/prometheusrule.yaml")
_HEAD = "# Rendered from charts/task-service/alerts by `make prometheus-rules`.\n"

COMPOSE_RULES = _ROOT / "deploy" / "compose" / "alerts" / "task-service.yaml"
"""What compose's Prometheus reads."""

COMPOSE_VALUES: Mapping[str, Any] = {
    "selector": 'job="task-service"',
    "prometheusRule": {"kubernetes": False},
}
"""`monitoring` of the release that compose's scrape configuration amounts to."""


def rules(monitoring: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules as a rule file holds them.

    Args:
        monitoring: The chart's values of that name, as far as they differ from its own.

    Raises:
        subprocess.CalledProcessError: helm refuses the values; its words are on standard error.
    """
    own = {**monitoring, "prometheusRule": {"enabled": True, **monitoring.get("prometheusRule", {})}}
    text = subprocess.run(  # noqa: S603 - our own words
        ["helm", "template", "task-service", str(_CHART), "--values=-", *_OPTIONS],  # noqa: S607 - from PATH
        input=json.dumps({"database": {"embedded": {"enabled": True}}, "monitoring": own}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    specification: dict[str, Any] = yaml.safe_load(text)["spec"]
    return specification


def render_rules(monitoring: Mapping[str, Any]) -> str:
    """Return the same as text."""
    return _HEAD + yaml.dump(rules(monitoring), sort_keys=False, width=10_000, Dumper=_Dumper)


def main() -> None:
    """Write those of compose."""
    COMPOSE_RULES.write_text(render_rules(COMPOSE_VALUES))


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

if __name__ == "__main__":
    main()
