"""Metrics: names, bounded labels, and sums."""

from backend.platform.observability import metrics
from backend.services import metrics as task_metrics


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_request_is_observed_by_route_template_and_status() -> None:
    labels = {
        "http_request_method": "GET",
        "http_route": "/api/{user_id}/tasks",
        "http_response_status_code": "200",
    }
    before = value("http_server_request_duration_seconds_count", **labels)
    faster = value("http_server_request_duration_seconds_bucket", **labels, le="0.01")
    within = value("http_server_request_duration_seconds_bucket", **labels, le="0.025")
    counted = metrics.observe_request("GET", "/api/{user_id}/tasks", 200, 0.02)
    assert counted == ("GET", "/api/{user_id}/tasks", "200")
    assert value("http_server_request_duration_seconds_count", **labels) == before + 1
    assert value("http_server_request_duration_seconds_bucket", **labels, le="0.01") == faster
    assert value("http_server_request_duration_seconds_bucket", **labels, le="0.025") == within + 1


def test_unknown_methods_and_paths_create_no_labels() -> None:
    assert metrics.observe_request("BREW", None, 404, 0.001) == ("_OTHER", "unmatched", "404")


def test_a_statement_is_observed_by_operation_and_error() -> None:
    def count(error: str) -> float:
        return value(
            "db_client_operation_duration_seconds_count",
            db_system_name="postgresql",
            db_query_summary="select tasks",
            error_type=error,
        )

    before, failed_before = count(""), count("57014")
    metrics.observe_statement("select tasks", 0.001, None)
    metrics.observe_statement("select tasks", 5.0, "57014")
    assert (count("") - before, count("57014") - failed_before) == (1, 1)


def test_the_state_of_the_pool_is_published() -> None:
    metrics.set_pool_state(metrics.PoolState(idle=7, used=3, limit=30))
    assert value("db_client_connection_count", db_client_connection_state="idle") == 7
    assert value("db_client_connection_count", db_client_connection_state="used") == 3
    assert value("db_client_connection_max") == 30


def test_waits_for_a_connection_and_timeouts_are_counted() -> None:
    waits = value("db_client_connection_wait_time_seconds_count")
    timeouts = value("db_client_connection_timeouts_total")
    metrics.observe_connection_wait(0.01)
    metrics.observe_connection_timeout()
    assert value("db_client_connection_wait_time_seconds_count") == waits + 1
    assert value("db_client_connection_timeouts_total") == timeouts + 1


def test_created_completed_and_deleted_tasks_are_counted() -> None:
    names = ("tasks_created_total", "tasks_completed_total", "tasks_deleted_total")
    before = [value(name) for name in names]
    for counter in (task_metrics.tasks_created, task_metrics.tasks_completed, task_metrics.tasks_deleted):
        counter.inc()
    assert [value(name) for name in names] == [each + 1 for each in before]
