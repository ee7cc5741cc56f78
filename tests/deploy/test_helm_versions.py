"""The chart and the pages work with Helm 3 and with Helm 4, on its own and as a part of another chart."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import CHART, manifests_of, require_helm, require_helm3
from tests.support.waiting import scaled

ROOT = CHART.parents[1]
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
PAGES = [
    *sorted((ROOT / "deploy" / "runbooks").glob("*.md")),
    *(ROOT / "docs" / name for name in ("on-call.md", "operations.md")),
    CHART / "UPGRADING.md",
]
# As docs/operations.md says.
OF_HELM_4 = {"--force-conflicts": "", "--rollback-on-failure": "--atomic"}
PRODUCTION = {
    "database": {"existingSecret": "database"},
    "auth": {"existingSecret": "auth"},
}

Helm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=[3, 4], ids=["Helm 3", "Helm 4"])
def version(request: pytest.FixtureRequest) -> int:
    require_helm()
    number: int = request.param
    return number


@pytest.fixture
def helm(version: int) -> Helm:
    return with_program(require_helm3() if version == 3 else "helm")


def with_program(program: str) -> Helm:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=scaled(30),
            env=os.environ,
        )

    return run


def rendered(helm: Helm, chart: Path, *options: str) -> list[Any]:
    result = helm("template", "demo", str(chart), "--namespace=tasks", *options)
    assert result.returncode == 0, result.stderr
    return manifests_of(result.stdout)


def test_each_program_is_the_version_that_it_is_taken_for(helm: Helm, version: int) -> None:
    assert helm("version", "--short").stdout.startswith(f"v{version}.")


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda file: file.stem)
def test_both_render_the_same(file: Path) -> None:
    """So what the other tests find in one's output is true of the other's."""
    require_helm()
    older, newer = (
        rendered(with_program(program), CHART, f"--values={file}") for program in (require_helm3(), "helm")
    )
    assert older == newer


def test_both_lint_and_refuse_alike(helm: Helm) -> None:
    production = ("--set=database.existingSecret=database", "--set=auth.existingSecret=auth")
    assert helm("lint", "--strict", str(CHART), *production).returncode == 0
    for option, sentence in {
        "--set=database.embedded.enabled=true": "More than one database",
        "--set=replicaCount=3": "replicaCount",
        "--set=terminationGracePeriodSeconds=10": "terminationGracePeriodSeconds is 10, too short",
    }.items():
        result = helm("template", "demo", str(CHART), *production, option)
        assert result.returncode != 0
        assert sentence in result.stderr


@pytest.fixture
def umbrella(helm: Helm, tmp_path: Path) -> Callable[..., list[Any]]:
    """Return a function that renders a chart with this one below it, under each alias and these values."""

    def render(aliases: list[str | None], **values: Any) -> list[Any]:
        dependencies = [
            {
                "name": "task-service",
                "version": "0.x.x",
                "repository": f"file://{CHART}",
                "condition": f"{alias or 'task-service'}.enabled",
                **({"alias": alias} if alias else {}),
            }
            for alias in aliases
        ]
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        chart = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
        (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
        built = helm("dependency", "update", str(tmp_path))
        assert built.returncode == 0, built.stderr
        return rendered(helm, tmp_path)

    return render


@pytest.mark.parametrize("enabled", [True, False])
def test_a_condition_of_the_parent_chart_switches_it(
    umbrella: Callable[..., list[Any]], *, enabled: bool
) -> None:
    found = umbrella(
        [None],
        **{"task-service": {"enabled": enabled, **PRODUCTION}},
        **{"global": {"imageRegistry": "registry.example.com"}},
    )
    assert ("Deployment" in {manifest["kind"] for manifest in found}) is enabled


def test_two_aliases_are_two_services_in_all_that_tells_them_apart(
    umbrella: Callable[..., list[Any]],
) -> None:
    monitoring = {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    values = {"enabled": True, "monitoring": monitoring, **PRODUCTION}
    found = umbrella(["blue", "green"], blue=values, green=values)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in found]
    assert len(names) == len(set(names))
    assert [kind for kind, _ in names].count("Deployment") == 2
    deployments = [manifest["spec"] for manifest in found if manifest["kind"] == "Deployment"]
    for one, other in (deployments, reversed(deployments)):
        selector = one["selector"]["matchLabels"].items()
        assert selector <= one["template"]["metadata"]["labels"].items()
        assert not selector <= other["template"]["metadata"]["labels"].items()
    expressions = [
        {rule["expr"] for group in manifest["spec"]["groups"] for rule in group["rules"]}
        for manifest in found
        if manifest["kind"] == "PrometheusRule"
    ]
    absent = [{text for text in rules if text.startswith("absent(")} for rules in expressions]
    assert len(absent) == 2
    assert absent[0].isdisjoint(absent[1])


def test_every_flag_on_a_page_exists_or_has_its_other_spelling(helm: Helm, version: int) -> None:
    commands = {
        (command, flag)
        for page in PAGES
        for line in re.findall(r"\bhelm [^`|\n]*(?:\\\n[^`|\n]*)*", page.read_text())
        for command in re.findall(
            r" (install|upgrade|rollback|template|test|history|list|get values)\b", line
        )[:1]
        for flag in re.findall(r"(?<= )--[a-z][a-z-]+", line)
    }
    assert len(commands) > 10
    for command, flag in sorted(commands):
        spelling = OF_HELM_4.get(flag, flag) if version == 3 else flag
        assert spelling in helm(*command.split(), "--help").stdout, f"helm {command} {flag}"


def test_no_page_pipes_the_pod_of_helm_test_into_kubectl() -> None:
    piped = [
        line
        for page in PAGES
        for line in page.read_text().splitlines()
        if re.search(r"helm template .*\| *kubectl apply", line)
    ]
    assert piped
    assert all("--skip-tests" in line for line in piped)


def test_pages_give_the_other_spelling_of_each_flag_that_helm_3_does_not_know() -> None:
    for page in PAGES:
        text = page.read_text()
        for flag, older in OF_HELM_4.items():
            if flag in text:
                assert "Helm 3" in text or "3.14" in text, page
                assert older in text, page
