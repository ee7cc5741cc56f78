"""Values reach the cluster as they were written: texts stay texts, numbers keep their digits, impossible ones are refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import CHART, Manifest, helm, refusal, render, require_helm, template
from tests.support.odd_values import ODD_TEXTS, extreme_values, odd_values

PRODUCTION = {"database": {"existingSecret": "database"}, "auth": {"existingSecret": "auth"}}
TEXTS = {"labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData", "selector"}
"""Fields whose values are texts."""
TEXT = {
    *("name", "namespace", "value", "image", "key", "host", "secretName", "serviceAccountName", "path"),
    *("priorityClassName", "ingressClassName", "topologyKey", "replacement", "interval", "ip", "summary"),
    *("runbook_url", "expr", "job", "record", "alert", "refreshInterval", "mountPath", "targetLabel"),
}
"""Fields that are texts."""


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


def misread(value: Any, place: str = "") -> Iterator[str]:
    """Return the places where a text has become something else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            at = f"{place}.{key}"
            is_policy = "periodSeconds" in value  # of an autoscaler, whose `value` is a number
            if not isinstance(key, str) or (
                key in TEXT and not is_policy and not isinstance(inner, str | dict)
            ):
                yield f"{at}: {inner!r}"
            if key in TEXTS and isinstance(inner, dict):
                yield from (
                    f"{at}.{name}: {each!r}"
                    for name, each in inner.items()
                    if isinstance(each, int | float | None)
                )
            yield from misread(inner, at)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from misread(inner, f"{place}[{number}]")


def environment(objects: list[Manifest], container: str = "api") -> dict[str, str]:
    (deployment,) = (
        each
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["labels"]["app.kubernetes.io/component"] == "api"
    )
    spec = deployment["spec"]["template"]["spec"]
    (found,) = (each for each in spec["initContainers"] + spec["containers"] if each["name"] == container)
    return {each["name"]: each.get("value", "") for each in found["env"]}


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_text_stays_a_text_or_is_refused_in_one_sentence(text: str) -> None:
    for values in odd_values(text):
        found, refused = template(values)
        if refused:
            assert "task-service/templates/validate.yaml" in refused, refused
        else:
            assert list(misread(found)) == []
            assert text in environment(found).values()


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
def test_a_number_keeps_its_digits(bound: str) -> None:
    for values in extreme_values(bound):
        found, refused = template(values)
        assert refused == ""
        assert list(misread(found)) == []
        for container in ("api", "wait-for-schema"):
            variables = environment(found, container)
            assert variables["MAX_BODY_BYTES"] == "2097152"
            assert variables["LARGE"] == "9007199254740991"
            assert variables["NEGATIVE"] == "-9007199254740991"
            assert (variables["DECIMAL"], float(variables["SMALL"]), variables["TRUE"]) == (
                "0.1",
                1e-7,
                "true",
            )
        assert "e+" not in yaml.safe_dump(
            [each["spec"] for each in found if "spec" in each and each["kind"] != "PrometheusRule"]
        )


def test_a_number_that_would_lose_digits_is_refused() -> None:
    _, refused = template(PRODUCTION | {"config": {"LARGE": 9007199254740993}})
    assert "/config/LARGE" in refused


@pytest.mark.parametrize(
    ("release", "namespace"), [("20240101", "1234"), ("1e3", "1e3"), ("on", "true"), ("null", "0")]
)
def test_release_and_namespace_may_look_like_numbers(release: str, namespace: str) -> None:
    found, refused = template(
        PRODUCTION | {"fullnameOverride": "tasks"}, release=release, namespace=namespace
    )
    assert refused == ""
    assert list(misread(found)) == []
    assert {each["metadata"]["namespace"] for each in found} == {namespace}


@pytest.mark.parametrize("release", ["20240101", "my.release", "1e3"])
def test_a_release_whose_service_could_have_no_name_is_refused(release: str) -> None:
    _, refused = template(PRODUCTION, release=release)
    assert "set fullnameOverride, or use another release name" in refused


@pytest.mark.parametrize(
    "value",
    [
        *("tracing.sampleRatio=0.1", "monitoring.slo.availability=99.5", "monitoring.slo.windowScale=0.02"),
        *("monitoring.slo.latency.thresholdSeconds=0.5", "monitoring.slo.latency.objective=97.5"),
    ],
)
def test_set_takes_decimals(value: str) -> None:
    """Helm's `--set` gives a decimal as a text."""
    common = (
        "database.embedded.enabled=true",
        "monitoring.prometheusRule.enabled=true",
        "tracing.endpoint=http://a",
    )
    name, _, number = value.rpartition("=")
    nested: dict[str, Any] = {
        "database": {"embedded": {"enabled": True}},
        "tracing": {"endpoint": "http://a"},
    }
    nested["monitoring"] = {"prometheusRule": {"enabled": True}}
    place = nested
    for part in name.split(".")[:-1]:
        place = place.setdefault(part, {})
    place[name.rpartition(".")[2]] = float(number)
    by_file, refused = template(nested)
    assert refused == ""
    assert sorted(map(str, by_file)) == sorted(map(str, render(*common, value).values()))


@pytest.mark.parametrize(
    ("value", "range_"),
    [
        ("tracing.sampleRatio=1.5", "from 0 to 1"),
        ("monitoring.slo.availability=94.9", "from 95 to 99.99"),
        ("monitoring.slo.availability=99.995", "from 95 to 99.99"),
        ("monitoring.slo.latency.objective=1.5", "from 95 to 99.99"),
        ("monitoring.slo.windowScale=0.0001", "from 0.001 to 1"),
    ],
)
def test_a_decimal_out_of_its_range_is_refused(value: str, range_: str) -> None:
    assert range_ in refusal("database.embedded.enabled=true", value)


@pytest.mark.parametrize("tag", ["a" * 62 + "-" + "bcd", "_" * 70, "feature_x.-", "1.10"])
def test_any_tag_makes_a_label_that_kubernetes_takes(tag: str) -> None:
    found, refused = template(PRODUCTION | {"image": {"tag": tag}})
    assert refused == ""
    for each in found:
        label = each["metadata"]["labels"]["app.kubernetes.io/version"]
        assert len(label) <= 63
        assert label.strip("-_.") == label


def test_a_digest_is_the_version() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    found, _ = template(PRODUCTION | {"image": {"digest": digest}})
    labels = {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in found}
    assert labels == {digest.replace(":", "_")[:63]}


def test_long_names_that_begin_alike_stay_different() -> None:
    begin = "customer-portal-integration-environment"
    names = set()
    for release in (f"{begin}-eu1", f"{begin}-eu2"):
        found, _ = template(PRODUCTION, release=release)
        (service,) = (each["metadata"]["name"] for each in found if each["kind"] == "Service")
        assert len(service) == 40
        names.add(service)
    assert len(names) == 2


def test_labels_of_the_user_replace_the_charts_without_a_second_key() -> None:
    enabled = {"enabled": True, "labels": {"app.kubernetes.io/part-of": "platform"}}
    found, refused = template(
        {
            "database": {"embedded": {"enabled": True}},
            "monitoring": {"podMonitor": enabled, "prometheusRule": enabled, "dashboards": enabled},
            "podAnnotations": {"kubectl.kubernetes.io/default-container": "proxy"},
        }
    )
    assert refused == ""
    kinds = {"PodMonitor", "PrometheusRule", "ConfigMap"}
    assert {
        each["metadata"]["labels"]["app.kubernetes.io/part-of"] for each in found if each["kind"] in kinds
    } == {"platform"}


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """A parent chart that has the chart three times: by its name, by an alias, and switched off."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "task-service").symlink_to(CHART)
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    once = {"name": "task-service", "version": version}
    dependencies = [
        {**once, "condition": "task-service.enabled"},
        *({**once, "alias": alias, "condition": f"{alias}.enabled"} for alias in ("second", "off")),
    ]
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    return tmp_path


def test_as_a_part_of_another_chart(umbrella: Path) -> None:
    own = PRODUCTION | {
        "enabled": True,
        "config": {"MAX_BODY_BYTES": 2097152},
        "monitoring": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    }
    values = {"global": {"region": "eu"}, "task-service": own, "second": own, "off": {"enabled": False}}
    found, refused = template(values, chart=umbrella, release="u")
    assert refused == ""
    keys = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(keys) == len(set(keys))
    assert {name for kind, name in keys if kind == "Deployment"} == {"u-task-service", "u-second"}
    jobs = {
        each["metadata"]["name"]: each["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"]
        for each in found
        if each["kind"] == "PodMonitor"
    }
    assert jobs == {"u-task-service": "u", "u-second": "u-second"}
    for each in found:
        if each["kind"] == "PrometheusRule":
            assert f'job="{jobs[each["metadata"]["name"]]}"' in str(each["spec"])
    selectors = [each["spec"]["selector"] for each in found if each["kind"] == "Service"]
    assert selectors[0] != selectors[1]


def notes(*values: str) -> str:
    options = [f"--set={value}" for value in values]
    return helm(
        "install", "demo", str(CHART), "--namespace=tasks", "--dry-run=client", *options
    ).stdout.partition("NOTES:")[2]


def test_notes_offer_a_token_only_where_the_service_signs_it() -> None:
    trial = "database.embedded.enabled=true"
    assert "task-service token" in notes(trial)
    said = notes(trial, "frontend.enabled=true", "auth.betterAuthUrl=http://localhost:3000")
    assert "task-service token" not in said
    assert "Open the page: http://localhost:3000" in said


def test_notes_call_the_service_where_it_is() -> None:
    tls = ("ingress.enabled=true", "ingress.tls[0].secretName=a", "ingress.tls[0].hosts[0]=a.test")
    said = notes("database.embedded.enabled=true", *tls, "ingress.hosts[0]=a.test")
    assert "curl -i https://a.test/api" in said
    assert "127.0.0.1" not in said
    assert "task-service migrate" in said
    assert "http://www.b.test/api" in notes(
        "database.embedded.enabled=true", *tls, "ingress.hosts[0]=*.b.test"
    )
    digest = "sha256:" + "0" * 64
    assert f"task-service {digest} is being" in notes(
        "database.embedded.enabled=true", f"image.digest={digest}"
    )
    assert "http://127.0.0.1:8000/api" in notes("database.embedded.enabled=true")
