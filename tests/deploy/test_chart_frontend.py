"""`frontend.enabled`: the page and its Better Auth beside the service."""

from typing import Any

import pytest

from tests.support.frontend_chart import FRONTEND, ORIGIN, of, rendered, values
from tests.support.helm import Manifest, require_helm, template

pytestmark = pytest.mark.usefixtures("_helm")

KEY_SET = "http://demo-task-service-web:3000/api/auth/jwks"


@pytest.fixture(scope="module")
def _helm() -> None:
    require_helm()


def environment(container: Manifest) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def test_nothing_is_rendered_unless_it_is_enabled() -> None:
    manifests = rendered(values(enabled=False, existingSecret=""))
    assert [each for each in manifests if "-web" in each["metadata"]["name"]] == []
    (rule,) = of(manifests, "Ingress", "demo")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/api"]


def test_ingress_and_route_send_each_path_to_its_service() -> None:
    manifests = rendered(values())
    (rule,) = of(manifests, "Ingress", "demo")["spec"]["rules"]
    paths = {each["path"]: each["backend"]["service"]["name"] for each in rule["http"]["paths"]}
    expected = {
        "/": "demo-task-service-web",
        "/api/auth": "demo-task-service-web",
        "/api": "demo-task-service",
    }
    assert paths == expected
    routes = {
        match["path"]["value"]: each["backendRefs"][0]["name"]
        for each in of(manifests, "HTTPRoute", "demo")["spec"]["rules"]
        for match in each["matches"]
    }
    assert routes == expected


def test_service_fetches_the_keys_inside_the_cluster_for_tokens_of_the_public_origin() -> None:
    manifests = rendered(values())
    api = next(
        each
        for each in manifests
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", "demo-task-service")
    )
    for pod in (api["spec"]["template"], of(manifests, "Pod", "demo-task-service-test")):
        variables = environment(pod["spec"]["containers"][0])
        assert (variables["BETTER_AUTH_URL"], variables["BETTER_AUTH_JWKS_URL"]) == (ORIGIN, KEY_SET)


def test_another_key_set_url_takes_precedence() -> None:
    manifests = rendered(values() | {"config": {"BETTER_AUTH_JWKS_URL": "https://keys.example.com/jwks"}})
    api = next(
        each
        for each in manifests
        if each["metadata"]["name"] == "demo-task-service" and each["kind"] == "Deployment"
    )
    names = [each["name"] for each in api["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert names.count("BETTER_AUTH_JWKS_URL") == 1


def test_pods_are_restricted_and_get_their_secrets_as_files() -> None:
    manifests = rendered(values(config={"MAIL_FROM": "a@example.com"}) | {"trustedProxies": ["10.0.0.0/8"]})
    deployment = of(manifests, "Deployment", "demo-task-service-web")
    job = of(manifests, "Job", "demo-task-service-web-migrate-")
    for pod in (deployment["spec"]["template"]["spec"], job["spec"]["template"]["spec"]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        variables = environment(container)
        assert variables["PUBLIC_URL"] == ORIGIN
        assert variables["MAIL_FROM"] == "a@example.com"
        assert variables["TRUSTED_PROXIES"] == "10.0.0.0/8"
        sources = pod["volumes"][0]["projected"]["sources"]
        assert [each["secret"]["name"] for each in sources] == ["database", "sessions"]
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > int(variables["DRAIN_SECONDS"]) + int(variables["GRACEFUL_TIMEOUT_SECONDS"])
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_migration_uses_the_direct_url() -> None:
    manifests = rendered(values() | {"migrations": {"database": {"existingSecret": "direct", "key": "uri"}}})
    job = of(manifests, "Job", "demo-task-service-web-migrate-")
    database = job["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"][0]["secret"]
    assert (database["name"], database["items"][0]["key"]) == ("direct", "uri")


def test_a_trial_needs_no_secret() -> None:
    trial = {
        "database": {"embedded": {"enabled": True}},
        "auth": {"betterAuthUrl": ORIGIN},
        "frontend": {"enabled": True},
    }
    manifests = rendered(trial)
    secret = of(manifests, "Secret", "demo-task-service-embedded")["stringData"]
    assert len(secret["frontend-secret"]) >= 32
    assert secret["frontend-secret"] != secret["auth-secret"]


def test_autoscaling_and_disruption_budget_select_the_pods() -> None:
    manifests = rendered(values(autoscaling={"enabled": True}))
    assert "replicas" not in of(manifests, "Deployment", "demo-task-service-web")["spec"]
    target = of(manifests, "HorizontalPodAutoscaler", "demo-task-service-web")["spec"]["scaleTargetRef"]
    assert target["name"] == "demo-task-service-web"
    budget = of(manifests, "PodDisruptionBudget", "demo-task-service-web")["spec"]
    labels = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_network_policy_admits_the_service_and_the_ingress() -> None:
    ingress = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    manifests = rendered(values() | {"networkPolicy": {"from": ingress}})
    policy = of(manifests, "NetworkPolicy", "demo-task-service-web")["spec"]
    http = next(each for each in policy["ingress"] if each["ports"][0]["port"] == "http")
    assert ingress[0] in http["from"]
    assert any("podSelector" in each for each in http["from"])
    api = next(
        each
        for each in manifests
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "demo-task-service"
    )
    ports = {port["port"] for rule in api["spec"]["egress"] for port in rule["ports"]}
    assert 3000 in ports


@pytest.mark.parametrize("release", ["a", "a-release-with-a-very-long-name-of-its-own-to-try-53c"])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    monitored = {
        "monitoring": {"serviceMonitor": {"enabled": True}},
        "migrations": {"nameSuffix": "1764120000"},
    }
    manifests, error = template(values() | monitored, release=release)
    assert error == ""
    keys = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(keys) == len(set(keys))
    assert all(len(name) <= 63 for _, name in keys)


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
def test_metrics_of_both_are_scraped_under_a_job_each(kind: str) -> None:
    monitor = {kind[0].lower() + kind[1:]: {"enabled": True, "labels": {"release": "prometheus"}}}
    manifests = rendered(values() | {"monitoring": monitor})
    labels = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["metadata"]["labels"]
    jobs = {}
    for each in manifests:
        if each["kind"] == kind:
            assert each["metadata"]["labels"]["release"] == "prometheus"
            (endpoint,) = each["spec"].get("podMetricsEndpoints") or each["spec"]["endpoints"]
            assert (endpoint["port"], endpoint["path"]) == ("ops", "/metrics")
            jobs[each["metadata"]["name"]] = endpoint["relabelings"][0]["replacement"]
    assert jobs == {"demo-task-service": "demo", "demo-task-service-web": "demo-web"}
    selector = of(manifests, kind, "demo-task-service-web")["spec"]["selector"]["matchLabels"]
    if kind == "ServiceMonitor":
        service = of(manifests, "Service", "demo-task-service-web-ops")
        assert selector.items() <= service["metadata"]["labels"].items()
        assert service["spec"]["ports"][0]["targetPort"] == "ops"
        selector = service["spec"]["selector"]
    assert selector.items() <= labels.items()


def test_secrets_of_a_store() -> None:
    store = {
        "enabled": True,
        "secretStoreRef": {"name": "vault"},
        "remote": {name: {"key": name} for name in ("databaseUrl", "frontendSecret", "frontendSecrets")},
    }
    manifests = rendered(values(existingSecret="") | {"database": {}, "externalSecret": store})
    made = of(manifests, "ExternalSecret", "demo")["spec"]["data"]
    assert {each["secretKey"] for each in made} == {"database-url", "frontend-secret", "frontend-secrets"}
    pod = of(manifests, "Deployment", "demo-task-service-web")["spec"]["template"]["spec"]
    sources = [each["secret"] for each in pod["volumes"][0]["projected"]["sources"]]
    assert [(each["name"], each["items"][0]["key"]) for each in sources] == [
        ("demo-task-service-external", "database-url"),
        ("demo-task-service-external", "frontend-secret"),
        ("demo-task-service-external", "frontend-secrets"),
    ]


def test_versions_of_the_secret_are_a_key_of_the_same_secret() -> None:
    manifests = rendered(
        values(secretsKey="secrets") | {"migrations": {"database": {"existingSecret": "direct"}}}
    )
    deployment = of(manifests, "Deployment", "demo-task-service-web")
    job = of(manifests, "Job", "demo-task-service-web-migrate-")
    for manifest, database in ((deployment, "database"), (job, "direct")):
        pod = manifest["spec"]["template"]["spec"]
        sources = [each["secret"] for each in pod["volumes"][0]["projected"]["sources"]]
        assert [(each["name"], each["items"]) for each in sources] == [
            (database, [{"key": "url", "path": "database-url"}]),
            ("sessions", [{"key": "secret", "path": "frontend-secret"}]),
            ("sessions", [{"key": "secrets", "path": "frontend-secrets"}]),
        ]
        variables = environment(pod["containers"][0])
        assert variables["BETTER_AUTH_SECRETS_FILE"] == "/etc/task-service/frontend-secrets"
    without = of(rendered(values()), "Deployment", "demo-task-service-web")["spec"]["template"]["spec"]
    assert "BETTER_AUTH_SECRETS_FILE" not in environment(without["containers"][0])


def test_frontend_reaches_the_api_and_the_mail_server_where_it_uses_them() -> None:
    def ports(**frontend: Any) -> list[Any]:
        policy = of(rendered(values(**frontend)), "NetworkPolicy", "demo-task-service-web")["spec"]
        return [port["port"] for rule in policy["egress"] for port in rule["ports"]]

    assert ports() == [53, 53, 5432]
    assert ports(config={"API_URL": "http://demo-task-service"}) == [53, 53, 5432, "http"]
    assert ports(config={"SMTP_URL_FILE": "/etc/mail/url"}) == [53, 53, 5432, 465, 587]
    assert ports(extraEnv=[{"name": "SMTP_URL", "value": "smtp://mail"}]) == [53, 53, 5432, 465, 587]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"frontend": {"enabled": True}}, "frontend.enabled without frontend.existingSecret"),
        ({"auth": {"existingSecret": "auth"}}, "frontend.enabled without auth.betterAuthUrl"),
        (
            {"frontend": {"enabled": True, "existingSecret": "s", "service": {"name": "own"}}},
            "set only one of them",
        ),
        (
            {"database": {"existingSecret": "database", "maxConnections": 70}},
            "+ 1 of the purge + 4 connections × (2 pods + 1 surge) of the frontend = 73, but database.maxConnections is 70",
        ),
        (
            {
                "frontend": {
                    "enabled": True,
                    "existingSecret": "s",
                    "autoscaling": {"enabled": True, "minReplicas": 9},
                }
            },
            "frontend.autoscaling.minReplicas (9) is above",
        ),
        (
            {"extraEnv": [{"name": "DRAIN_SECONDS", "value": "1"}]},
            "extraEnv.DRAIN_SECONDS is set by the chart: use the value preStopSeconds",
        ),
        (
            {"podLabels": {}, "frontend": FRONTEND | {"podLabels": {"app.kubernetes.io/component": "api"}}},
            "frontend.podLabels must not contain the label app.kubernetes.io/component",
        ),
        (
            {"frontend": FRONTEND | {"config": {"DATABASE_URL": "postgres://u:hidden@h/d"}}},
            "frontend.config.DATABASE_URL is a secret",
        ),
        (
            {"frontend": FRONTEND | {"extraEnv": [{"name": "SIGN_UP"}]}},
            "frontend.extraEnv.SIGN_UP is set by the chart: use the value frontend.signUp",
        ),
        ({"frontend": FRONTEND | {"config": {"PORT": 80}}}, "frontend.config.PORT is fixed by the chart"),
        (
            {"frontend": FRONTEND | {"config": {"BETTER_AUTH_SECRETS": "1:hidden"}}},
            "frontend.config.BETTER_AUTH_SECRETS is set by the chart: use the value frontend.secretsKey",
        ),
        (
            {
                "database": {"embedded": {"enabled": True}},
                "frontend": {"enabled": True, "secretsKey": "secrets"},
            },
            "frontend.secretsKey has no effect without frontend.existingSecret",
        ),
        (
            {"extraEnv": [{"name": "A"}], "frontend": FRONTEND | {"config": {"A": 1}}},
            "extraEnv.A is set twice, also in frontend.config",
        ),
    ],
)
def test_what_cannot_work_is_refused(changed: dict[str, Any], sentence: str) -> None:
    _, error = template(values() | changed)
    assert sentence in error
    assert "hidden" not in error
