"""The dashboards' form: what Grafana accepts, and what a reader of them may count on."""

import inspect
import itertools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
import yaml

from backend.platform.observability.access_log import access_log
from tests.support.helm import render, require_helm

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "charts" / "task-service" / "dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['id']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
]
SCHEMA = json.loads((Path(__file__).parent / "grafana_schema.json").read_text())
DASHBOARD = jsonschema.Draft7Validator(SCHEMA["dashboard"])

WORDS = {
    "s": r"latency|lag|wait|age|time",
    "percentunit": r"share|budget",
    "reqps": r"requests per second",
    "ops": r"per second",
    "bytes": r"memory",
    "short": r"requests in flight|workers|connections|exits|cores|files|restarts|pods|containers"
    r"|versions|revisions|jobs|burn rates",
}
"""What a title has to say, for each unit."""

NO_RELEASE = {"certmanager_certificate_", "kube_replicaset_"}

COLUMNS = {"percentunit": r"good|left", "short": r"burn|failed"}


def variables(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def test_there_are_five_boards_whose_addresses_never_change() -> None:
    assert {board["uid"] for board in BOARDS.values()} == {
        *("task-service-service", "task-service-database", "task-service-workers", "task-service-rollout"),
        "task-service-frontend",
    }
    assert all(board["uid"] == f"task-service-{name}" for name, board in BOARDS.items())
    assert {board["schemaVersion"] for board in BOARDS.values()} == {42}


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_s_own_schema_knows_every_field(name: str) -> None:
    DASHBOARD.validate(BOARDS[name])
    for panel in BOARDS[name]["panels"]:
        jsonschema.validate(panel["options"], SCHEMA["options"][panel["type"]])
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        jsonschema.validate(custom, SCHEMA["custom"][panel["type"]] if custom else {})


def test_the_schema_is_closed() -> None:
    (name, *_), mistyped = BOARDS, json.loads(json.dumps(BOARDS))
    mistyped[name]["panels"][0]["fieldConfig"]["defaults"]["units"] = "s"
    with pytest.raises(jsonschema.ValidationError):
        DASHBOARD.validate(mistyped[name])


@pytest.mark.parametrize("panel", PANELS)
def test_targets_have_only_fields_that_the_prometheus_source_reads(panel: dict[str, Any]) -> None:
    known = {"refId", "datasource", "expr", "legendFormat", "instant", "range", "format", "exemplar"}
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert target.keys() <= known
        assert target.get("instant", False) == (panel["type"] != "timeseries") != target.get("range", True)
        assert (target.get("format") == "table") == (panel["type"] == "table")
        assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_a_unit_a_description_and_thresholds(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in WORDS
    assert len(panel["description"]) > 20
    first, *others = defaults["thresholds"]["steps"]
    assert first["value"] is None
    values = [step["value"] for step in others]
    assert values == sorted(values)
    # Where there is no bound to draw the description says so.
    assert bool(values) != ("No threshold" in panel["description"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_title_agrees_with_the_unit(panel: dict[str, Any]) -> None:
    assert re.search(WORDS[panel["fieldConfig"]["defaults"]["unit"]], panel["title"], re.IGNORECASE)
    for override in panel["fieldConfig"]["overrides"]:
        (unit,) = [each["value"] for each in override["properties"] if each["id"] == "unit"]
        assert re.search(COLUMNS[unit], override["matcher"]["options"], re.IGNORECASE)


@pytest.mark.parametrize("panel", PANELS)
def test_a_title_names_the_quantiles_that_are_computed(panel: dict[str, Any]) -> None:
    def computed(expression: str) -> list[str]:
        found = re.findall(r"histogram_quantile\(([\d.]+),", expression)
        assert len(found) == expression.count("quantile")
        return [f"p{float(each) * 100:g}" for each in found]

    quantiles = [each for target in panel["targets"] for each in computed(target["expr"])]
    assert re.findall(r"\bp\d+\b", panel["title"]) == quantiles
    if len(quantiles) > 1:
        assert [target["legendFormat"] for target in panel["targets"]] == quantiles


@pytest.mark.parametrize("panel", PANELS)
def test_a_unit_agrees_with_what_is_computed(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for expression in (target["expr"] for target in panel["targets"]):
        is_rate = (
            re.match(r"sum( by \(\w+\))? \(?\(?rate\(|sum\(rate\(", expression) and "/" not in expression
        )
        assert not is_rate or unit in {"reqps", "ops"} or "process_cpu_seconds_total" in expression
        assert ("rate(" in expression) or unit not in {"reqps", "ops"}
        if unit == "percentunit":
            assert "/" in expression or "burn_rate" in expression or expression.startswith("avg(up")


@pytest.mark.parametrize("name", BOARDS)
def test_rates_fit_any_scrape_interval_and_every_query_keeps_to_its_release(name: str) -> None:
    for panel in BOARDS[name]["panels"]:
        for target in panel["targets"]:
            ranges = re.findall(r"\[([^\]]+)\]", re.sub(r'"[^"]*"', "", target["expr"]))
            assert set(ranges) <= {"$__rate_interval", "$__range"}
            for selector in re.findall(r'\{((?:"[^"]*"|[^}"])*)\}', target["expr"]):
                assert 'namespace=~"$namespace"' in selector
                # Joined or cluster-wide metrics carry no release, but always a namespace.
                assert "$release" in selector or any(each in target["expr"] for each in NO_RELEASE)


@pytest.mark.parametrize("name", BOARDS)
def test_variables_choose_source_namespace_and_release(name: str) -> None:
    found = variables(BOARDS[name])
    assert list(found)[:3] == ["datasource", "namespace", "release"]
    assert found["namespace"]["allValue"] == ".*"  # outside Kubernetes no series has the label
    assert found["namespace"]["current"]["value"] == "$__all"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([BOARDS[name]["panels"], BOARDS[name]["templating"]])))
    assert {each for each in used if not each.startswith("__")} == set(found)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_without_overlap_and_are_wide_enough_at_1280_pixels(name: str) -> None:
    cells = [
        cell
        for panel in BOARDS[name]["panels"]
        for grid in [panel["gridPos"]]
        for cell in itertools.product(
            range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        )
    ]
    assert len(cells) == len(set(cells)) == 24 * (max(y for _, y in cells) + 1)
    for panel in BOARDS[name]["panels"]:
        # A column is 53 pixels: 400 are enough for a graph and its legend, 150 for a number.
        assert panel["gridPos"]["w"] >= {"timeseries": 8, "table": 8, "stat": 3}[panel["type"]]
        assert len(panel["title"]) <= panel["gridPos"]["w"] * 7


def test_latency_panels_lead_to_traces_and_logs() -> None:
    panels = [
        panel
        for panel in BOARDS["service"]["panels"]
        if panel["type"] == "timeseries" and "latency" in panel["title"]
    ]
    assert len(panels) == 2
    for panel in panels:
        assert all(target["exemplar"] for target in panel["targets"])
        urls = [unquote(link["url"]) for link in panel["fieldConfig"]["defaults"]["links"]]
        assert any("trace_id=" in url for url in urls)


def test_links_to_logs_name_fields_that_a_line_of_the_log_has() -> None:
    fields = {
        field
        for panel in BOARDS["service"]["panels"]
        for link in panel["fieldConfig"]["defaults"].get("links", ())
        for field in re.findall(r"\| (\w+)=", unquote(link["url"]))
    }
    assert {"route", "trace_id"} == fields <= set(inspect.signature(access_log).parameters)
    for panel in BOARDS["service"]["panels"]:
        for link in panel["fieldConfig"]["defaults"].get("links", ()):
            panes = json.loads(unquote(link["url"]).partition("panes=")[2])
            assert panes["logs"]["datasource"] == "${logs}"


def test_the_chart_ships_every_board_as_it_is() -> None:
    require_helm()
    objects = render("database.embedded.enabled=true", "monitoring.dashboards.enabled=true")
    found = objects["ConfigMap", "dashboards"]
    # The sidecar writes the ConfigMaps of all teams into one folder.
    boards = {
        name.removeprefix("demo-task-service-"): json.loads(text) for name, text in found["data"].items()
    }
    assert boards == {f"{name}.json": board for name, board in BOARDS.items()}
    assert all(name.startswith("demo-task-service-") for name in found["data"])
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_compose_copies_the_same_folder() -> None:
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert grafana["build"]["additional_contexts"] == {"dashboards": "charts/task-service/dashboards"}
