"""The metrics, named by OpenTelemetry's stable conventions in Prometheus notation, and functions to record them."""

import functools
import platform
import time
from importlib.metadata import version
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from backend.platform.observability import metric_values
from backend.platform.service_name import SERVICE_NAME

__all__ = [
    "DURATION_BUCKETS",
    "REGISTRY",
    "UNMATCHED_ROUTE",
    "PoolState",
    "initialize_key_set_metrics",
    "observe_connection_failure",
    "observe_connection_timeout",
    "observe_connection_wait",
    "observe_key_set_refresh",
    "observe_request",
    "observe_statement",
    "requests_active",
    "set_event_loop_lag",
    "set_pool_state",
    "set_schema_revision",
    "worker_is_up",
]

metric_values.install()
# A `_created` series per counter doubles the number of series, and is missing in multiprocess mode.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped

REGISTRY = CollectorRegistry()
"""The metrics of this process. The library's default registry has process metrics that cover one process only."""

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds: those of the HTTP semantic conventions, and 0.3, the objective of the alerts."""

_STATEMENT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

UNMATCHED_ROUTE = "unmatched"
"""Route label of all unmatched paths, so that a scanner cannot create series."""

_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

request_duration = Histogram(
    "http_server_request_duration_seconds",
    "Time from the headers of a request to the end of its response.",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)
requests_active = Gauge(
    "http_server_active_requests",
    "Requests in progress.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
statement_duration = Histogram(
    "db_client_operation_duration_seconds",
    "Duration of a statement, without the wait for a connection.",
    ("db_system_name", "db_query_summary", "error_type"),
    buckets=_STATEMENT_BUCKETS,
    registry=REGISTRY,
)
_connection_count = Gauge(
    "db_client_connection_count",
    "Open database connections, by state.",
    ("db_client_connection_state",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
_connection_max = Gauge(
    "db_client_connection_max",
    "Maximum number of database connections of all live workers.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
_connection_timeouts = Counter(
    "db_client_connection_timeouts", "Requests that got no database connection in time.", registry=REGISTRY
)
_connection_failures = Counter(
    "db_client_connection_failures", "Database connections that could not be opened.", registry=REGISTRY
)
_connection_wait = Histogram(
    "db_client_connection_wait_time_seconds",
    "Wait for a database connection.",
    buckets=_STATEMENT_BUCKETS,
    registry=REGISTRY,
)
_connections_idle = _connection_count.labels("idle")
_connections_used = _connection_count.labels("used")

_key_set_refreshes = Counter(
    "auth_key_set_refreshes",
    "Fetches of the frontend's signing keys, by outcome.",
    ("outcome",),
    registry=REGISTRY,
)

_event_loop_lag = Gauge(
    "event_loop_lag_seconds",
    "Longest delay of the event loop in the last 15 seconds, of the slowest worker.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
_workers = Gauge("gunicorn_workers", "Workers that serve.", multiprocess_mode="livesum", registry=REGISTRY)
_build = Gauge(
    "app_build_info",
    "Always 1; the labels are the running versions.",
    ("version", "python_version"),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
_schema_revision = Gauge(
    "database_schema_revision_info",
    "Always 1; the labels are the revision that the code expects and the database's current one.",
    ("expected", "current"),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)

# Caches of children: the lookup of a child by its labels costs more than an observation.
_request_children: dict[tuple[str, str, int], Histogram] = {}
_statement_children: dict[tuple[str, str | None], Histogram] = {}
# A label set cannot be removed in multiprocess mode, only set to 0.
_known_revisions: set[tuple[str, str]] = set()


class PoolState(NamedTuple):
    """The number of connections of a pool.

    `used` connections are in use, `idle` ones are open and not in use, and `limit` is the maximum of both together.
    """

    idle: int
    used: int
    limit: int


def observe_request(method: str, route: str | None, status: int, seconds: float) -> tuple[str, str, str]:
    """Count one HTTP request.

    Args:
        method: The method as sent. A method that HTTP does not define counts as `_OTHER`.
        route: The route template; None if no route matched. Never a raw path.
        status: The status of the response, 100 to 599.
        seconds: Time from the headers of the request to the end of the response.

    Returns:
        The label values of the observation.
    """
    label = method if method in _KNOWN_METHODS else "_OTHER"
    route = route or UNMATCHED_ROUTE
    key = (label, route, status)
    child = _request_children.get(key)
    if child is None:
        child = _request_children[key] = request_duration.labels(label, route, str(status))
    child.observe(seconds)
    return label, route, str(status)


def observe_statement(operation: str, seconds: float, error: str | None) -> None:
    """Count one statement.

    Args:
        operation: Name of the statement, one of a fixed set, such as `select tasks`.
        seconds: Duration of the statement.
        error: SQLSTATE or type of the exception; None if it succeeded.
    """
    key = (operation, error)
    child = _statement_children.get(key)
    if child is None:
        child = _statement_children[key] = statement_duration.labels("postgresql", operation, error or "")
    child.observe(seconds)


def observe_connection_wait(seconds: float) -> None:
    """Observe the wait for a database connection that was acquired."""
    _connection_wait.observe(seconds)


def observe_connection_timeout() -> None:
    """Count one wait for a database connection that timed out."""
    _connection_timeouts.inc()


def observe_connection_failure() -> None:
    """Count one database connection that could not be opened."""
    _connection_failures.inc()


def initialize_key_set_metrics() -> None:
    """Create the counters of both outcomes at 0, so that the first failure is an increase."""
    for outcome in ("success", "failure"):
        _key_set_refreshes.labels(outcome)


def observe_key_set_refresh(*, succeeded: bool) -> None:
    """Count one fetch of the signing keys, and record the time if it succeeded."""
    _key_set_refreshes.labels("success" if succeeded else "failure").inc()
    if succeeded:
        _key_set_last_success().set(time.time())


@functools.cache
def _key_set_last_success() -> Gauge:
    # Created at the first success. Before it, or without a key set, the gauge would be 0, which an alert on its
    # age takes for an outage since 1970.
    return Gauge(
        "auth_key_set_last_success_timestamp_seconds",
        "Unix time of the last successful fetch of the signing keys; the oldest one of all workers.",
        multiprocess_mode="livemin",
        registry=REGISTRY,
    )


def set_event_loop_lag(seconds: float) -> None:
    """Publish the longest recent delay of the event loop."""
    _event_loop_lag.set(seconds)


def worker_is_up() -> None:
    """Publish that this process serves, and its versions."""
    _workers.set(1)
    _build.labels(version(SERVICE_NAME), platform.python_version()).set(1)


def set_schema_revision(expected: str, current: str | None) -> None:
    """Publish the schema revision that the code expects and the current one of the database."""
    labels = (expected, current or "")
    for known in {*_known_revisions, labels}:
        _schema_revision.labels(*known).set(known == labels)
    _known_revisions.add(labels)


def set_pool_state(state: PoolState) -> None:
    """Publish the current number of connections of the pool."""
    _connections_idle.set(state.idle)
    _connections_used.set(state.used)
    _connection_max.set(state.limit)
