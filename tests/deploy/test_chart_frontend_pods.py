"""Pods of the frontend: values that they share with the service's, and values of their own."""

from typing import Any

import pytest

from tests.support.frontend_chart import of, rendered, values
from tests.support.helm import require_helm

pytestmark = pytest.mark.usefixtures("_helm")


@pytest.fixture(scope="module")
def _helm() -> None:
    require_helm()


def test_fields_of_the_deployment_are_those_of_the_service() -> None:
    common = {"minReadySeconds": 7, "progressDeadlineSeconds": 1200, "terminationGracePeriodSeconds": 60}
    manifests = rendered(values() | common)
    service, web = (
        of(manifests, "Deployment", name)["spec"] for name in ("demo-task-service", "demo-task-service-web")
    )
    own = {"selector", "template"}
    assert {key: service[key] for key in service.keys() - own} == {key: web[key] for key in web.keys() - own}
    assert web["minReadySeconds"] == 7
    api, page = (each["template"]["spec"]["containers"][0] for each in (service, web))
    for probe in ("startupProbe", "livenessProbe"):
        assert page[probe] == api[probe]
    assert page["readinessProbe"]["httpGet"] == api["readinessProbe"]["httpGet"]
    assert [each["name"] for each in page["ports"]] == [each["name"] for each in api["ports"]]


def test_values_of_the_frontends_pods() -> None:
    spread = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}
    affinity: dict[str, Any] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    secret = {"name": "SMTP_URL", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "url"}}}
    manifests = rendered(
        values(
            affinity=affinity,
            topologySpreadConstraints=[spread],
            podAnnotations={"sidecar.istio.io/inject": "true"},
            podLabels={"team": "web"},
            extraEnv=[secret],
            service={"type": "LoadBalancer", "annotations": {"example.com/zone": "a"}},
        )
        | {"podAnnotations": {"sidecar.istio.io/inject": "false"}, "podLabels": {"team": "tasks"}}
    )
    template = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "true"
    assert template["metadata"]["labels"]["team"] == "web"
    assert (template["spec"]["affinity"], template["spec"]["topologySpreadConstraints"]) == (
        affinity,
        [spread],
    )
    job = of(manifests, "Job", "demo-task-service-web-migrate-")["spec"]["template"]["spec"]
    assert "affinity" not in job
    for pod in (template["spec"], job):
        assert secret in pod["containers"][0]["env"]
    service = of(manifests, "Service", "demo-task-service-web")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == {"example.com/zone": "a"}


def test_spread_of_the_service_does_not_select_the_frontends_pods() -> None:
    own = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "api"}}}
    manifests = rendered(values() | {"topologySpreadConstraints": [own]})
    constraints = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]
    assert [each["topologyKey"] for each in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    for each in constraints:
        assert each["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "web"


def test_migration_job_follows_the_values_of_the_service_s() -> None:
    settings = {"activeDeadlineSeconds": 300, "backoffLimit": 1, "annotations": {"a": "b"}}
    manifests = rendered(values() | {"migrations": settings})
    jobs = [each for each in manifests if each["kind"] == "Job"]
    assert len(jobs) == 2
    for job in jobs:
        assert job["metadata"]["annotations"] == {"a": "b"}
        assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["backoffLimit"]) == (300, 1)
        ignored = job["spec"]["podFailurePolicy"]["rules"][-1]
        assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    names = {
        of(rendered(values() | {"migrations": each}), "Job", "demo-task-service-web-migrate-")["metadata"][
            "name"
        ]
        for each in (settings, settings | {"nameSuffix": "again"}, {"backoffLimit": 2})
    }
    assert len(names) == 3
    off = rendered(values() | {"migrations": {"enabled": False}})
    assert [each for each in off if each["kind"] == "Job"] == []


@pytest.mark.parametrize(
    ("exposed", "own", "url"),
    [
        ({"ingress": {"enabled": False}, "httpRoute": {"enabled": False}}, {}, "http://demo-task-service:80"),
        (
            {"ingress": {"enabled": False}, "httpRoute": {"enabled": False}},
            {"API_URL": "http://own"},
            "http://own",
        ),
        ({"httpRoute": {"enabled": False}}, {}, None),
        ({"ingress": {"enabled": False}}, {}, None),
    ],
    ids=["neither", "own", "ingress", "route"],
)
def test_page_proxies_the_api_where_no_route_of_the_chart_does(
    exposed: dict[str, Any], own: dict[str, str], url: str | None
) -> None:
    manifests = rendered(values(config=own) | exposed)
    pod = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert variables.get("API_URL") == url
    policy = of(manifests, "NetworkPolicy", "demo-task-service-web")["spec"]
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert ("http" in ports) == (url is not None)
