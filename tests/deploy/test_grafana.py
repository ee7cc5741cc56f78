"""What compose hands to Grafana lies where Grafana looks, and dashboards find their data sources."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "deploy/compose/grafana"
DASHBOARDS = ROOT / "charts/task-service/dashboards"
BUILT_IN = {"-- Grafana --", "-- Mixed --", "-- Dashboard --", "grafana"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def compose() -> dict[str, Any]:
    services: dict[str, Any] = read(ROOT / "docker-compose.yml")["services"]
    return services


def sources() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = read(PROVISIONING / "datasources/datasources.yaml")["datasources"]
    return listed


def unknown_sources(dashboard: dict[str, Any]) -> set[str]:
    """Return the data sources of a dashboard that are neither provisioned nor chosen by a variable of it."""
    types = {source["type"] for source in sources()}
    variables = {
        variable["name"]
        for variable in dashboard.get("templating", {}).get("list", ())
        if variable["type"] == "datasource" and variable["query"] in types
    }
    known = {source["uid"] for source in sources()} | BUILT_IN
    used = re.findall(r'"datasource": \{[^{}]*"uid": "([^"]+)"', json.dumps(dashboard))
    return {uid for uid in used if uid not in known and uid.strip("${}") not in variables}


def test_folders_are_copied_where_grafana_and_its_provider_look() -> None:
    build = compose()["grafana"]["build"]
    copied = dict(re.findall(r"^COPY --chmod=\d+ (.+) (\S+)$", build["dockerfile_inline"], re.MULTILINE))
    assert (ROOT / build["context"]).resolve() == PROVISIONING
    assert copied["."] == "/etc/grafana/provisioning"
    assert (ROOT / build["additional_contexts"]["dashboards"]).resolve() == DASHBOARDS
    (provider,) = read(PROVISIONING / "dashboards/dashboards.yaml")["providers"]
    assert PurePosixPath(provider["options"]["path"]) == PurePosixPath(copied["--from=dashboards ."])
    assert provider["type"] == "file"


def test_sources_name_services_of_the_project_and_exemplars_lead_to_one_of_them() -> None:
    uids = [source["uid"] for source in sources()]
    assert len(uids) == len(set(uids)) == 2
    for source in sources():
        host = re.fullmatch(r"http://([a-z]+):\d+", source["url"])
        assert host is not None
        assert host[1] in compose()
        for link in source.get("jsonData", {}).get("exemplarTraceIdDestinations", ()):
            assert link["datasourceUid"] in uids


def test_dashboards_use_sources_that_are_there() -> None:
    stray = {"panels": [{"datasource": {"type": "prometheus", "uid": "elsewhere"}}]}
    assert unknown_sources(stray) == {"elsewhere"}
    found = {path.name: unknown_sources(json.loads(path.read_text())) for path in DASHBOARDS.glob("*.json")}
    assert not any(found.values()), found
