"""The pods of a release agree: what the service's pod has, every other one has too, unless a reason says otherwise."""

from functools import cache
from typing import Any

import pytest

from tests.support.helm import Manifest, require_helm, template

EXTRA_EGRESS = {"ports": [{"port": 5353, "protocol": "UDP"}]}
COMPONENTS = {
    "migration": "production",
    "purge": "production",
    "test": "production",
    "embedded-database": "trial",
    "web": "frontend",
    "web-migration": "frontend",
}
"""The other pods, and the kind of release that has them."""
EVERYTHING: dict[str, Any] = {
    "image": {"pullSecrets": [{"name": "registry"}], "pullPolicy": "Always"},
    "config": {"LOG_LEVEL": "DEBUG", "MAX_BODY_BYTES": 2097152},
    "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/etc/ca/ca.crt"}],
    "networkPolicy": {"extraEgress": [EXTRA_EGRESS]},
    "podAnnotations": {"sidecar.istio.io/inject": "false"},
    "podLabels": {"azure.workload.identity/use": "true"},
    "nodeSelector": {"pool": "tasks"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]
            }
        },
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "demo"}},
                }
            ]
        },
    },
    "priorityClassName": "important",
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db.internal"]}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
    "podSecurityContext": {
        "supplementalGroups": [4242],
        "runAsUser": 4000,
        "runAsGroup": 4000,
        "fsGroup": 4000,
    },
    "containerSecurityContext": {"privileged": False},
    "serviceAccount": {"name": "tasks"},
    "tracing": {"endpoint": "http://collector:4318"},
}
PRODUCTION: dict[str, Any] = {"database": {"existingSecret": "database"}, "auth": {"existingSecret": "auth"}}
TRIAL: dict[str, Any] = {"database": {"embedded": {"enabled": True}}}
KEY_SET: dict[str, Any] = {
    "database": {"existingSecret": "database"},
    "auth": {"betterAuthUrl": "http://frontend"},
}
FRONTEND: dict[str, Any] = TRIAL | {
    "auth": {"betterAuthUrl": "http://localhost:3000"},
    "frontend": {"enabled": True},
}
MODES = {"production": PRODUCTION, "trial": TRIAL, "key set": KEY_SET, "frontend": FRONTEND}

ANOTHER_IMAGE = "it runs PostgreSQL's image, which reads none of the service's files and variables"
FRONTENDS_IMAGE = "it runs the frontend's image, whose variables are those of `frontend.config`"
ANOTHER_PROGRAM = {"embedded-database", "web", "web-migration"}  # with variables of its own
ONE_PROCESS = ("migrate", "migrate-again", "purge", "test")
DIFFERENCES = {
    **{(each, "pod", "topologySpreadConstraints"): "one pod is not spread" for each in COMPONENTS if each != "web"},
    **{
        (component, *field): reason
        for component in ("migration", "purge")
        for field, reason in {
            ("pod", "restartPolicy"): "a failed run is tried again by its Job, whose pods' logs stay",
            ("pod", "terminationGracePeriodSeconds"): "it has no requests to finish; Kubernetes' default is enough",
            ("pod", "affinity"): "it may run on a node that the service's own pods keep each other from",
            ("pod", "initContainers"): "wait-for-schema waits for the migration, and a failed purge runs again",
            ("volumes", "run"): "it has no workers that share metrics",
            ("volumes", "secrets"): "it verifies no token",
        }.items()
    },
    ("test", "pod", "restartPolicy"): "helm reports its first failure",
    ("test", "pod", "terminationGracePeriodSeconds"): "it has no requests to finish; Kubernetes' default is enough",
    ("test", "pod", "affinity"): "it may run on a node that the service's own pods keep each other from",
    ("test", "pod", "initContainers"): "it calls a service that runs",
    ("test", "volumes", "run"): "it has no workers that share metrics",
    ("test", "volumes", "secrets"): "it makes tokens and asks no database",
    ("embedded-database", "pod", "affinity"): "it may run on a node that the service's own pods keep each other from",
    ("embedded-database", "pod", "terminationGracePeriodSeconds"): "its data ends with it, so nothing is to be finished",
    ("embedded-database", "pod", "initContainers"): "wait-for-schema waits for it",
    ("embedded-database", "pod", "securityContext"): "PostgreSQL's image has a user of its own",
    ("embedded-database", "volumes", "run"): "the socket's folder: " + ANOTHER_IMAGE,
    ("embedded-database", "volumes", "tmp"): "PostgreSQL may need more of it than 64 MiB of memory",
    ("embedded-database", "volumes", "secrets"): ANOTHER_IMAGE,
    ("embedded-database", "volumes", "ca"): ANOTHER_IMAGE,
    ("embedded-database", "volumes", "data"): "its data",
    ("web", "pod", "affinity"): "it may run on a node that the service's own pods keep each other from",
    ("web", "pod", "topologySpreadConstraints"): "its pods are spread among themselves",
    ("web", "pod", "initContainers"): "its readiness waits for the schema",
    ("web", "volumes", "run"): "it is one process",
    ("web", "volumes", "secrets"): "it signs sessions",
    ("web-migration", "pod", "restartPolicy"): "as that of the service's migration",
    ("web-migration", "pod", "terminationGracePeriodSeconds"): "as that of the service's migration",
    ("web-migration", "pod", "affinity"): "as that of the service's migration",
    ("web-migration", "pod", "initContainers"): "wait-for-schema waits for the service's migration",
    ("web-migration", "volumes", "run"): "it is one process",
    ("web-migration", "volumes", "secrets"): "it encrypts the first key of the tokens",
}  # fmt: skip
CONTAINER_DIFFERENCES = {
    ("wait-for-schema", "resources"): "it asks the database one question",
    ("wait-for-schema", "mounts /run/app"): "it has no workers that share metrics",
    **{(name, "resources"): "it is one process" for name in ONE_PROCESS},
    **{(name, "mounts /run/app"): "it has no workers that share metrics" for name in ONE_PROCESS},
    ("test", "variable ENVIRONMENT"): "only in development may tokens be made",
    ("test", "variable DATABASE_URL_FILE"): "it asks no database",
    ("test", "variable DATABASE_POOLER"): "it asks no database",
    ("test", "variable FRONTEND_URL"): "it signs a user up",
    ("postgres", "image"): ANOTHER_IMAGE,
    ("postgres", "imagePullPolicy"): "it is image.pullPolicy of the service's image; Kubernetes' default follows the tag",
    ("postgres", "resources"): "it is another program",
    ("postgres", "mounts /run/app"): ANOTHER_IMAGE,
    ("postgres", "mounts /etc/task-service"): ANOTHER_IMAGE,
    ("postgres", "mounts /etc/ca"): ANOTHER_IMAGE,
    ("postgres", "variable ENVIRONMENT"): ANOTHER_IMAGE,
    ("postgres", "variable DATABASE_URL_FILE"): ANOTHER_IMAGE,
    ("postgres", "variable DATABASE_POOLER"): ANOTHER_IMAGE,
    ("postgres", "variable LOG_LEVEL"): ANOTHER_IMAGE,
    ("postgres", "variable MAX_BODY_BYTES"): ANOTHER_IMAGE,
    ("postgres", "variable SSL_CERT_FILE"): ANOTHER_IMAGE,
    **{
        (container, field): reason
        for container in ("web", "web migrate-again", "web-migration migrate")
        for field, reason in {
            "image": FRONTENDS_IMAGE,
            "resources": "it is one process",
            "mounts /run/app": "it is one process",
            "variable DATABASE_POOLER": "it prepares no statements",
            "variable LOG_LEVEL": FRONTENDS_IMAGE,
            "variable MAX_BODY_BYTES": FRONTENDS_IMAGE,
        }.items()
    },
}  # fmt: skip
SERVING = {
    *("ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle"),
    *("name", "args", "command", "env", "volumeMounts"),
}
"""What a container does, which is never the same in two of them; variables and mounts are compared one by one."""
SERVICE_ONLY = {
    *("POD_NAME", "DATABASE_POOL_PREWARM_SIZE", "DATABASE_POOL_MAX_SIZE", "READINESS_DATABASE_CHECK"),
    *("BETTER_AUTH_SECRET_FILE", "BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL", "WORKERS", "MAX_REQUESTS"),
    *("MAX_REQUESTS_JITTER", "GRACEFUL_TIMEOUT_SECONDS", "KEEP_ALIVE_SECONDS", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_RESOURCE_ATTRIBUTES"),
}
"""Variables that the chart makes for serving requests; one of the user's is none of them."""


@pytest.fixture(autouse=True)
def _helm() -> None:
    require_helm()


@cache
def objects(mode: str) -> tuple[Manifest, ...]:
    found, refused = template(EVERYTHING | MODES[mode])
    assert refused == ""
    return tuple(found)


def pods(mode: str) -> dict[str, Manifest]:
    """Return metadata and spec of each pod by the label `component`."""
    kinds = {"CronJob", "Deployment", "Job", "Pod"}
    found = [each["spec"].get("jobTemplate", each) for each in objects(mode) if each["kind"] in kinds]
    templates = [each["spec"].get("template", each) for each in found]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def different(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def named(items: list[dict[str, Any]], key: str = "name") -> dict[str, Any]:
    found = {item[key]: item for item in items}
    assert len(found) == len(items)
    return found


def flat(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container's fields, its variables and its mounts one by one."""
    fields = {key: value for key, value in container.items() if key not in SERVING}
    fields |= {f"variable {name}": item for name, item in named(container.get("env", [])).items()}
    mounts = named(container["volumeMounts"], "mountPath")
    return fields | {f"mounts {path}": item for path, item in mounts.items()}


def test_every_pod_of_a_release_is_compared() -> None:
    assert {component for mode in MODES for component in pods(mode)} == {"api", *COMPONENTS}


def test_pod_specs_differ_only_for_a_reason() -> None:
    found = set()
    for component, mode in COMPONENTS.items():
        service, other = pods(mode)["api"]["spec"], pods(mode)[component]["spec"]
        fields = different(service, other) - {"containers", "volumes"}
        found |= {(component, "pod", field) for field in fields}
        volumes = different(named(service["volumes"]), named(other["volumes"]))
        found |= {(component, "volumes", volume) for volume in volumes}
    assert found == set(DIFFERENCES)


def test_nodes_that_a_pod_may_run_on_are_the_same() -> None:
    wanted = {"nodeAffinity": EVERYTHING["affinity"]["nodeAffinity"]}
    for component, mode in COMPONENTS.items():
        assert pods(mode)[component]["spec"]["affinity"] == wanted
    assert pods("production")["api"]["spec"]["affinity"] == EVERYTHING["affinity"]


def test_containers_differ_only_for_a_reason() -> None:
    found = set()
    for mode in ("production", "trial", "frontend"):
        for component, pod in pods(mode).items():
            service = flat(pods(mode)["api"]["spec"]["containers"][0])
            for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
                if container["name"] == "api":
                    continue
                other = flat(container)
                own = other.keys() - service.keys() if component in ANOTHER_PROGRAM else set()
                service_only = {f"variable {name}" for name in SERVICE_ONLY}
                # The frontend's containers have names of the service's.
                name = f"{component} {container['name']}" if component[:3] == "web" else container["name"]
                found |= {
                    (name.removesuffix(" web"), field)
                    for field in different(service, other) - own - service_only
                }
    assert found == set(CONTAINER_DIFFERENCES)


def test_labels_and_annotations_of_the_user_are_on_every_pod() -> None:
    for mode in MODES:
        for pod in pods(mode).values():
            assert EVERYTHING["podLabels"].items() <= pod["metadata"]["labels"].items()
            assert EVERYTHING["podAnnotations"].items() <= pod["metadata"]["annotations"].items()


def test_labels_and_annotations_of_the_migration_take_precedence() -> None:
    own = {"podAnnotations": {"sidecar.istio.io/inject": "true"}, "podLabels": {"team": "data"}}
    found, _ = template(EVERYTHING | PRODUCTION | {"migrations": own})
    (job,) = (each for each in found if each["kind"] == "Job")
    metadata = job["spec"]["template"]["metadata"]
    assert metadata["annotations"]["sidecar.istio.io/inject"] == "true"
    assert (own["podLabels"] | EVERYTHING["podLabels"]).items() <= metadata["labels"].items()


def selected(selector: dict[str, Any]) -> list[str]:
    """Return the components that a selector of pods names."""
    expressions = [each["values"] for each in selector.get("matchExpressions", [])]
    (components,) = expressions or [[selector["matchLabels"]["app.kubernetes.io/component"]]]
    found: list[str] = components
    return found


def test_every_pod_has_a_policy_with_dns_and_what_the_user_adds() -> None:
    for mode in MODES:
        policies = {
            component: each["spec"]
            for each in objects(mode)
            if each["kind"] == "NetworkPolicy"
            for component in selected(each["spec"]["podSelector"])
        }
        assert policies.keys() == pods(mode).keys()
        for component, policy in policies.items():
            assert EXTRA_EGRESS in policy["egress"]
            dns = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
            # The database asks no other host.
            assert ({"ports": dns} in policy["egress"]) == (component != "embedded-database")


def test_embedded_database_runs_as_any_user_where_the_other_pods_do() -> None:
    """As on OpenShift, which gives each namespace users of its own."""
    found, _ = template(TRIAL | {"podSecurityContext": dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))})
    contexts = [
        each["spec"]["template"]["spec"]["securityContext"]
        for each in found
        if each["kind"] in {"Deployment", "Job"}
    ]
    assert len(contexts) == 3
    assert all(context.keys() == {"runAsNonRoot", "seccompProfile"} for context in contexts)
    own, _ = template({"database": {"embedded": {"enabled": True, "podSecurityContext": {"runAsUser": 26}}}})
    (context,) = (
        each["spec"]["template"]["spec"]["securityContext"]
        for each in own
        if each["metadata"]["name"].endswith("-embedded") and each["kind"] == "Deployment"
    )
    assert (context["runAsUser"], context["runAsGroup"]) == (26, 999)
