"""Values that cannot work are refused when they are given, in a sentence that says what to do."""

import pytest

from tests.support.helm import refusal, require_helm

PRODUCTION = ("database.existingSecret=database", "auth.existingSecret=auth")


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((), "No database: set database.existingSecret"),
        (("database.existingSecret=database",), "No token verification: set auth.betterAuthUrl"),
        ((*PRODUCTION, "database.pooler=spqr"), "without migrations.shards.existingSecret"),
        (
            (*PRODUCTION, "config.DATABASE_SHARD_URLS=x"),
            "is a secret: store it in a Secret and set migrations.shards.existingSecret",
        ),
        ((*PRODUCTION, "database.embedded.enabled=true"), "More than one database: set only one"),
        (
            (*PRODUCTION, "auth.betterAuthUrl=https://app.example.com"),
            "auth.betterAuthUrl and a shared secret exclude each other",
        ),
        (
            (
                "database.embedded.enabled=true",
                "monitoring.podMonitor.enabled=true",
                "monitoring.serviceMonitor.enabled=true",
            ),
            "would both scrape every pod",
        ),
        (("externalSecret.enabled=true",), "externalSecret.remote.databaseUrl is empty"),
        (
            ("externalSecret.enabled=true", "externalSecret.remote.databaseUrl.key=a"),
            "externalSecret.secretStoreRef.name is empty",
        ),
        (
            ("database.embedded.enabled=true", "migrations.database.existingSecret=owner"),
            "migrations.database.existingSecret has no effect with database.embedded.enabled",
        ),
        (
            (*PRODUCTION, "database.maxConnections=60"),
            "Connection budget exceeded: 2 workers × 10 connections × (2 pods + 1 surge) + 1 of the purge = 61, but database.maxConnections is 60",
        ),
        (
            (*PRODUCTION, "database.maxConnections=100", "autoscaling.enabled=true"),
            "(6 pods + 1 surge) + 1 of the purge = 141, but database.maxConnections is 100",
        ),
        ((*PRODUCTION, "database.pool.prewarmSize=11"), "database.pool.prewarmSize (11) is above"),
        (
            (*PRODUCTION, "preStopSeconds=20"),
            "terminationGracePeriodSeconds is 40, too short: preStopSeconds 20 + gracefulTimeoutSeconds 25 + 5 = 50",
        ),
        (
            (*PRODUCTION, "migrations.activeDeadlineSeconds=3600"),
            "progressDeadlineSeconds is 900, too short",
        ),
        (
            (*PRODUCTION, "minReadySeconds=900"),
            "progressDeadlineSeconds (900) must be above minReadySeconds (900)",
        ),
        ((*PRODUCTION, "maxRequests=1000"), "maxRequests without maxRequestsJitter"),
        ((*PRODUCTION, "maxRequestsJitter=1000"), "maxRequestsJitter has an effect only with maxRequests"),
        (
            (*PRODUCTION, "autoscaling.enabled=true", "autoscaling.minReplicas=7"),
            "autoscaling.minReplicas (7) is above autoscaling.maxReplicas (6)",
        ),
        (
            (*PRODUCTION, "autoscaling.enabled=true", "autoscaling.targetCPUUtilizationPercentage=0"),
            "autoscaling.enabled without a metric",
        ),
        ((*PRODUCTION, "ingress.enabled=true"), "ingress.enabled without ingress.hosts"),
        ((*PRODUCTION, "httpRoute.enabled=true"), "httpRoute.enabled without httpRoute.parentRefs"),
        ((*PRODUCTION, "frontend.service.name=web"), "frontend.service.name has no effect without"),
        ((*PRODUCTION, "config.WORKERS=4"), "config.WORKERS is set by the chart: use the value workers"),
        ((*PRODUCTION, "config.PORT=80"), "config.PORT is fixed by the chart"),
        ((*PRODUCTION, "config.DATABASE_URL=postgres://u:p@h/d"), "config.DATABASE_URL is a secret"),
        (
            (*PRODUCTION, "extraEnv[0].name=WORKERS", "extraEnv[0].value=four"),
            "extraEnv.WORKERS is set by the chart: use the value workers",
        ),
        ((*PRODUCTION, "extraEnv[0].name=RUN_DIR"), "extraEnv.RUN_DIR is fixed by the chart"),
        (
            (*PRODUCTION, "extraEnv[0].name=DATABASE_URL"),
            "extraEnv.DATABASE_URL is a secret: store it in a Secret and set database.existingSecret",
        ),
        (
            (*PRODUCTION, "tracing.endpoint=http://c", "config.OTEL_TRACES_SAMPLER=always_on"),
            "config.OTEL_TRACES_SAMPLER is set by the chart: use the value tracing.sampleRatio",
        ),
        (
            (*PRODUCTION, "tracing.endpoint=http://c", "extraEnv[0].name=OTEL_RESOURCE_ATTRIBUTES"),
            "set config.OTEL_RESOURCE_ATTRIBUTES; the chart merges it with its own attributes",
        ),
        (
            (*PRODUCTION, "config.LOG_LEVEL=DEBUG", "extraEnv[0].name=LOG_LEVEL"),
            "extraEnv.LOG_LEVEL is set twice, also in config",
        ),
        (
            (*PRODUCTION, "extraEnv[0].name=A", "extraEnv[1].name=A"),
            "extraEnv.A is set twice, also in extraEnv",
        ),
        (
            (*PRODUCTION, "podLabels.app\\.kubernetes\\.io/component=web"),
            "podLabels must not contain the label app.kubernetes.io/component",
        ),
    ],
)
def test_what_cannot_work_is_refused(values: tuple[str, ...], sentence: str) -> None:
    said = refusal(*values)
    assert sentence in said
    assert "postgres://u:p@h/d" not in said


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("databse.embedded=true", "'databse'"),
        ("database.pool.max=3", "/database/pool"),
        ("migrations.mode=hook", "/migrations"),
        ("workers=0", "/workers"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("ingress.paths[0]=api", "/ingress/paths/0"),
        ("config.log_level=DEBUG", "log_level"),
        ("resources.request.cpu=1", "/resources"),
        ("allowedOrigins[0]=https://app.example.com/", "/allowedOrigins/0"),
        ("database.readiness=false", "/database/readiness"),
        ("tracing.sampleRatio=5", "/tracing/sampleRatio"),
        # As narrow as Kubernetes' own rules for names, labels and paths.
        ("fullnameOverride=a.b", "/fullnameOverride"),
        ("fullnameOverride=1a", "/fullnameOverride"),
        ("nameOverride=a.b", "/nameOverride"),
        ("migrations.nameSuffix=again-", "/migrations/nameSuffix"),
        ("database.existingSecret=a..b", "/database/existingSecret"),
        ("database.existingSecret=a.-b", "/database/existingSecret"),
        ("database.key=..", "/database/key"),
        ("frontend.service.name=a.b", "/frontend/service/name"),
        ("serviceAccount.name=A", "/serviceAccount/name"),
        ("priorityClassName=a_b", "/priorityClassName"),
        ("ingress.hosts[0]=A.example.com", "/ingress/hosts/0"),
        ("ingress.hosts[0]=a.*.com", "/ingress/hosts/0"),
        ("ingress.paths[0]=/a//b", "/ingress/paths/0"),
        ("httpRoute.paths[0]=/a b", "/httpRoute/paths/0"),
        ("image.tag=-a", "/image/tag"),
        ("image.repository=a b", "/image/repository"),
        ("podLabels.team=-a", "/podLabels/team"),
        ("nodeSelector.a/b/c=d", "a/b/c"),
        ("podAnnotations.a b=c", "a b"),
        ("resources.limits.memory=1GB", "/resources/limits/memory"),
        ("hostAliases[0].ip=localhost", "/hostAliases/0/ip"),
        ("extraEnv[0].name=a=b", "extraEnv"),
        ("auth.betterAuthUrl=http://a:99999", "/auth/betterAuthUrl"),
        ("tracing.endpoint=http://", "/tracing/endpoint"),
        ("config.LARGE=9007199254740993", "/config/LARGE"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_its_place(value: str, place: str) -> None:
    said = refusal(*PRODUCTION, value)
    assert "values don't meet the specifications of the schema" in said
    assert place in said
