"""The alerts: rendered from one source, each proved by promtool to fire and to stay silent."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.platform.observability.metrics import DURATION_BUCKETS
from deploy.render_rules import COMPOSE_RULES, COMPOSE_VALUES, render_rules, rules
from tests.support.helm import CHART, render, require_helm
from tests.support.prometheus import promtool, require_prometheus

CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
DEFAULT = {
    "selector": 'job="task-service"',
    "frontendSelector": 'namespace="default", job="task-service-web"',
}
FRONTEND = (
    "frontend.enabled=true",
    "frontend.existingSecret=frontend",
    "auth.betterAuthUrl=https://tasks.example.com",
)


@pytest.fixture(autouse=True)
def _tools() -> None:
    require_helm()
    require_prometheus()


def alerts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in found["groups"] for rule in group["rules"] if "alert" in rule}


def checks_of(case: Path) -> list[dict[str, Any]]:
    return [check for test in yaml.safe_load(case.read_text())["tests"] for check in test["alert_rule_test"]]


def test_compose_has_the_rules_that_the_chart_renders() -> None:
    assert COMPOSE_RULES.read_text() == render_rules(COMPOSE_VALUES), "run `make prometheus-rules`"


def test_rules_are_found_to_be_right_by_promtool(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(render_rules(DEFAULT))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_alerts_fire_when_they_should_and_are_silent_when_not(case: Path, tmp_path: Path) -> None:
    found = rules(DEFAULT)
    checked = {check["alertname"] for check in checks_of(case)}
    # Days of the other groups' records take promtool most of its time.
    found["groups"] = [
        group for group in found["groups"] if checked & {rule.get("alert") for rule in group["rules"]}
    ]
    for rule in alerts(found).values():
        del rule["annotations"]  # promtool would compare them word for word
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found))
    shutil.copy(case, tmp_path)
    promtool("test", "rules", case.name, folder=tmp_path)


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    checks = [check for case in CASES for check in checks_of(case)]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    silent = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == silent == set(alerts(rules(DEFAULT)))


def test_every_alert_says_how_urgent_it_is_and_where_its_runbook_lies() -> None:
    for name, rule in alerts(rules(DEFAULT)).items():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"].endswith(f"/deploy/runbooks/{name}.md")


def test_every_window_and_waiting_time_is_scaled_by_one_value() -> None:
    def durations(found: dict[str, Any]) -> list[str]:
        texts = [
            rule[key]
            for group in found["groups"]
            for rule in group["rules"]
            for key in ("expr", "for")
            if key in rule
        ]
        return [
            each for text in texts for each in re.findall(r"\[(\w+)\]|^(\w+)$", text) for each in each if each
        ]

    def seconds(text: str) -> float:
        return (
            float(text.removesuffix("ms")) / 1000
            if text.endswith("ms")
            else int(text[:-1]) * {"m": 60, "h": 3600, "d": 86400}[text[-1]]
        )

    whole, scaled = durations(rules(DEFAULT)), durations(rules({**DEFAULT, "slo": {"windowScale": 0.01}}))
    assert len(whole) > 40
    assert [seconds(each) for each in scaled] == pytest.approx([seconds(each) / 100 for each in whole])


def test_objectives_are_values() -> None:
    slo = {"availability": 99.5, "days": 28, "latency": {"objective": 97.5, "thresholdSeconds": 1}}
    text = render_rules({**DEFAULT, "slo": slo})
    assert "/ 0.005\n" in text
    assert "/ 0.025\n" in text
    assert 'le="1.0"' in text
    assert "[28d]" in text
    assert "> 13.44" in text


def test_the_latency_objective_can_only_be_a_bound_of_the_histogram() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    slo = schema["properties"]["monitoring"]["properties"]["slo"]["properties"]
    choices = slo["latency"]["properties"]["thresholdSeconds"]["enum"]
    assert tuple(each for each in choices if not isinstance(each, str)) == DURATION_BUCKETS
    assert {float(each) for each in choices if isinstance(each, str)} < set(DURATION_BUCKETS)
    # Above this no request could burn the budget fast enough for the fast alert.
    assert 0.02 * 24 * slo["days"]["maximum"] < 1 / (1 - slo["availability"]["minimum"] / 100)
    assert slo["latency"]["properties"]["objective"]["minimum"] == slo["availability"]["minimum"]


def test_a_release_watches_only_itself() -> None:
    enabled = ("database.embedded.enabled=true", "monitoring.prometheusRule.enabled=true")
    spec = render(*enabled, *FRONTEND, release="mine")["PrometheusRule", ""]["spec"]
    for group in spec["groups"]:
        for rule in group["rules"]:
            own = 'namespace="tasks", job="mine"'
            if group["name"] in {"task-service-kubernetes", "task-service-postgres"}:
                own = 'namespace="tasks"'
            elif group["name"] == "task-service-frontend":
                own = 'namespace="tasks", job="mine-web"'
            selectors = re.sub(r'"[^"]*"', lambda text: text[0].replace("{", ""), rule["expr"])
            assert selectors.count("{") == selectors.count("{" + own) + selectors.count("{exported_" + own)


def test_rules_cover_the_frontend_only_if_the_chart_deploys_it() -> None:
    enabled = ("database.embedded.enabled=true", "monitoring.prometheusRule.enabled=true")
    without, both = (
        alerts(render(*enabled, *values, release="mine")["PrometheusRule", ""]["spec"])
        for values in ((), FRONTEND)
    )
    assert both.keys() - without.keys() == {"TaskServiceFrontendAbsent", "TaskServiceFrontendErrors"}
    assert not any("web" in rule["expr"] for rule in without.values())
    for name in ("TaskServiceMigrationFailed", "TaskServiceRolloutStuck", "TaskServicePodCrashLoop"):
        assert '=~"mine-task-service(-web)?' in both[name]["expr"]


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
@pytest.mark.parametrize(
    ("values", "job"), [((), "mine"), (("fullnameOverride=other",), "other"), (("nameOverride=b",), "mine-b")]
)
def test_monitors_and_rules_name_the_same_job(kind: str, values: tuple[str, ...], job: str) -> None:
    enabled = (
        f"monitoring.{kind[0].lower()}{kind[1:]}.enabled=true",
        "monitoring.prometheusRule.enabled=true",
    )
    objects = {
        m["kind"]: m
        for m in render("database.embedded.enabled=true", *enabled, *values, release="mine").values()
    }
    (endpoint,) = objects[kind]["spec"]["podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]
    assert f'job="{job}"' in yaml.safe_dump(objects["PrometheusRule"]["spec"], width=10_000)
