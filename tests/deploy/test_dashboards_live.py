"""Every query of a dashboard and every rule runs on what the real service gives to a real Prometheus."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deploy.dashboards import DASHBOARDS_DIR, Prometheus, Scope, load_dashboard
from deploy.render_dashboards import WIDTH, draw
from tests.support.database import Server
from tests.support.helm import require_helm
from tests.support.monitored import RELEASE, SCRAPE_SECONDS, Observed, observed
from tests.support.prometheus import require_prometheus

NAMES = sorted(path.stem for path in DASHBOARDS_DIR.glob("*.json"))
pytestmark = [pytest.mark.e2e, pytest.mark.serial]

# As Prometheus spells them.
MAY_SELECT_NOTHING = {
    'http_server_request_duration_seconds_count{http_response_status_code=~"5..",http_route="unmatched",'
    'job="task-service",namespace="default"}': "no unknown path fails while the service is well",
}
WORDS = {"or", "and", "unless", "bool"}
SELECTOR = r'\{(?:"[^"]*"|[^{}"])*\}'


class Seen:
    """The end of the story: asked at one moment, so that nothing moves any more."""

    def __init__(self, observed: Observed, at: float) -> None:
        self.prometheus: Prometheus = observed.prometheus
        self.url, self.answers, self.lines, self.at = (
            observed.url,
            observed.answers,
            observed.pods[0].lines(),
            at,
        )
        self.scope = Scope(RELEASE, at, 30, "default", SCRAPE_SECONDS)
        self.rules: list[dict[str, Any]] = [
            rule for group in self.prometheus.get("/rules")["groups"] for rule in group["rules"]
        ]

    def selected(self, selector: str) -> list[dict[str, str]]:
        """Return the label sets of all series that a selector has chosen."""
        found: list[dict[str, str]] = self.prometheus.get(
            "/series", **{"match[]": selector}, start=self.at - 60, end=self.at
        )
        return found

    def expressions(self) -> dict[str, str]:
        """Return every query, filled in, by where it stands."""
        found = {
            f"{name}: {panel['title']}, {target['refId']}": self.scope.interpolate(
                target["expr"], SCRAPE_SECONDS
            )
            for name in NAMES
            for panel in load_dashboard(name)["panels"]
            for target in panel["targets"]
        }
        return found | {
            f"rule {place}: {rule['name']}": rule["query"] for place, rule in enumerate(self.rules)
        }


@pytest.fixture(scope="module")
async def seen(
    tmp_path_factory: pytest.TempPathFactory, migrated_server: tuple[Server, str]
) -> AsyncIterator[Seen]:
    require_helm()
    require_prometheus()
    server, template = migrated_server
    async with (
        server.database(template) as url,
        server.database(template) as pages,
        observed(tmp_path_factory.mktemp("observed"), url, pages) as story,
    ):
        await story.seen('count(up{job=~"task-service(-web)?"} == 1) == 3')
        await story.traffic(3)
        await story.stall_database(1.5)
        await story.kill_worker()
        await story.traffic(5)
        await story.seen('gunicorn_worker_exits_total{reason="crashed"} == 1')
        count = f'sum(http_server_request_duration_seconds_count{{job="{RELEASE}"}})'
        await story.seen(f"{count} >= {story.answers.total()}")
        yield await asyncio.to_thread(Seen, story, time.time())


def selectors(expression: str) -> list[str]:
    return re.findall(rf"[a-zA-Z_:][\w:]*{SELECTOR}", expression)


def bare_names(expression: str) -> set[str]:
    """Return names that are neither functions, selectors, words of the language nor labels."""
    rest = re.sub(SELECTOR, "{}", expression)
    rest = re.sub(r'"[^"]*"|\[[^\]]*\]', "", rest)
    rest = re.sub(r"\b(by|on|group_left|without|ignoring)\s*\([^()]*\)", "", rest)
    return set(re.findall(r"[a-zA-Z_:][\w:]*(?![\w:{(]|\s*\()", rest)) - WORDS


def labels_named(expression: str) -> set[str]:
    lists = re.findall(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^()]*)\)", expression)
    return {label for each in lists for label in re.findall(r"\w+", each)}


@pytest.mark.parametrize("name", NAMES)
async def test_every_query_of_every_panel_gives_data(seen: Seen, name: str) -> None:
    empty = [
        f"{panel['title']}, {target['refId']}"
        for panel in load_dashboard(name)["panels"]
        for target, found in zip(panel["targets"], seen.prometheus.panel(panel, seen.scope), strict=True)
        if not any(value == value for series in found for _, value in series.points)  # noqa: PLR0124 - not a number
    ]
    assert empty == []


@pytest.mark.parametrize("name", NAMES)
async def test_every_legend_and_column_names_labels_of_the_result(seen: Seen, name: str) -> None:
    for panel in load_dashboard(name)["panels"]:
        answers = seen.prometheus.panel(panel, seen.scope)
        for target, found in zip(panel["targets"], answers, strict=True):
            named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            assert all(named <= series.labels.keys() for series in found), panel["title"]
        if panel["type"] == "table":
            (organized,) = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
            columns = {key for found in answers for series in found for key in series.labels}
            columns |= (
                {f"Value #{each['refId']}" for each in panel["targets"]} if len(answers) > 1 else {"Value"}
            )
            assert set(organized["renameByName"]) == columns


@pytest.mark.parametrize("name", NAMES)
async def test_variables_offer_the_namespace_and_the_release(seen: Seen, name: str) -> None:
    offered = {}
    for variable in load_dashboard(name)["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found is not None
            selector = seen.scope.interpolate(found[1], SCRAPE_SECONDS)
            offered[variable["name"]] = seen.prometheus.get(
                f"/label/{found[2]}/values", **{"match[]": selector}
            )
    assert offered == {"namespace": ["default"], "release": [RELEASE]}


async def test_every_selector_chooses_series_that_exist(seen: Seen) -> None:
    found = {each for expression in seen.expressions().values() for each in selectors(expression)}
    assert len(found) > 80
    missing = {each for each in found - set(MAY_SELECT_NOTHING) if not seen.selected(each)}
    assert missing == set()
    assert set(MAY_SELECT_NOTHING) <= found
    assert not seen.selected('http_server_request_duration_seconds_count{status="200"}')  # so it can fail


async def test_no_query_names_a_metric_without_its_labels_or_a_label_that_its_metrics_lack(
    seen: Seen,
) -> None:
    assert bare_names('sum by (a) (rate(b{c="d"}[1m])) / e and f{}') == {"e"}
    for place, expression in seen.expressions().items():
        assert bare_names(expression) == set(), place
        known = {
            label for each in selectors(expression) for series in seen.selected(each) for label in series
        }
        assert labels_named(expression) - {"slo"} <= known, place


async def test_every_rule_is_evaluated_and_every_recording_gives_data(seen: Seen) -> None:
    assert {rule["name"] for rule in seen.rules if rule["health"] != "ok"} == set()
    recorded = {(rule["name"], rule["labels"]["slo"]) for rule in seen.rules if rule["type"] == "recording"}
    assert len(recorded) > 20
    assert {
        each for each in recorded if not seen.prometheus.query(f'{each[0]}{{slo="{each[1]}"}}', seen.at)
    } == set()


async def test_prometheus_counts_what_the_clients_saw(seen: Seen) -> None:
    count = (
        f'sum by (http_response_status_code) (http_server_request_duration_seconds_count{{job="{RELEASE}"}})'
    )
    counted = {
        int(series.labels["http_response_status_code"]): series.points[0][1]
        for series in seen.prometheus.query(count, seen.at)
    }
    assert counted == dict(seen.answers)
    assert {200, 201, 204, 401, 403, 404, 422, 500, 503, 504} <= counted.keys()


async def test_an_exemplar_of_a_latency_panel_leads_to_a_line_of_the_log(seen: Seen) -> None:
    logged = {line["trace_id"]: line for line in seen.lines if line["event"] == "request"}
    queries = [
        seen.scope.interpolate(target["expr"], SCRAPE_SECONDS)
        for panel in load_dashboard("service")["panels"]
        for target in panel["targets"]
        if target.get("exemplar")
    ]
    assert len(queries) > 1
    for query in queries:
        answer = seen.prometheus.get("/query_exemplars", query=query, start=seen.at - 60, end=seen.at)
        traces = {each["labels"]["trace_id"] for series in answer for each in series["exemplars"]}
        assert traces & logged.keys()
        assert all(logged[each]["route"] for each in traces & logged.keys())


@pytest.mark.parametrize("name", NAMES)
async def test_every_board_can_be_drawn(seen: Seen, name: str, tmp_path: Path) -> None:
    drawn = draw(name, seen.prometheus, seen.scope)
    (tmp_path / f"{name}.png").write_bytes(drawn)
    assert Image.open(BytesIO(drawn)).width == WIDTH
    assert len(drawn) < 200_000
