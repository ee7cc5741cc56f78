"""What docs/operations.md claims: its arithmetic, its files, its values."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.frontend_chart import of, rendered, values
from tests.support.helm import CHART, refusal, render_text, require_helm

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
ROWS = [
    tuple(map(int, row))
    for row in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
]


def test_the_table_of_sizes_is_there() -> None:
    assert [row[0] for row in ROWS] == [2, 6, 20, 100, 1000]


@pytest.mark.parametrize(("pods", "workers", "size", "surge", "connections"), ROWS)
def test_sizes_are_those_that_the_chart_computes(
    pods: int, workers: int, size: int, surge: int, connections: int
) -> None:
    require_helm()
    options = (
        *("database.existingSecret=a", "auth.existingSecret=b", f"replicas={pods}", f"workers={workers}"),
        *(f"database.pool.maxSize={size}", f"maxSurge={surge}"),
    )
    render_text(*options, f"database.maxConnections={connections}")
    assert f"= {connections}, but" in refusal(*options, f"database.maxConnections={connections - 1}")


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", PAGE))
    assert len(named) >= 6
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def test_every_value_that_it_names_exists() -> None:
    chart = yaml.safe_load((CHART / "values.yaml").read_text())
    named = set(re.findall(r"`((?:database|migrations|networkPolicy|frontend|auth)\.\w+)", PAGE))
    assert len(named) >= 6
    for path in named:
        top, _, inner = path.partition(".")
        assert inner in chart[top], path


def test_documented_values_of_the_mail_server_render() -> None:
    require_helm()
    (example,) = re.findall(r"```yaml\n(frontend:.*?)```", PAGE, re.DOTALL)
    manifests = rendered(values(**yaml.safe_load(example)["frontend"]))
    (container,) = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["spec"][
        "containers"
    ]
    (url,) = (each for each in container["env"] if each["name"] == "SMTP_URL")
    assert url["valueFrom"] == {"secretKeyRef": {"name": "mail", "key": "url"}}
    policy = of(manifests, "NetworkPolicy", "demo-task-service-web")["spec"]
    assert {465, 587} <= {port["port"] for rule in policy["egress"] for port in rule["ports"]}
