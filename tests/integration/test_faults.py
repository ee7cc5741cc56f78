"""Injected faults look like real ones to clients, metrics and logs, and affect the API only."""

from time import perf_counter

import structlog.testing

from backend.platform.observability.metrics import REGISTRY
from tests.support.service import running_service, service_settings

REQUESTS = 200


def failures() -> float:
    labels = {
        "http_request_method": "GET",
        "http_route": "/api/{user_id}/tasks",
        "http_response_status_code": "500",
    }
    return REGISTRY.get_sample_value("http_server_request_duration_seconds_count", labels) or 0.0


async def test_configured_share_of_requests_fails_and_each_is_counted_and_logged(
    shared_database_url: str,
) -> None:
    settings = service_settings(shared_database_url, fault_error_rate=0.5)
    before = failures()
    async with running_service(settings) as service, service.user() as user:
        with structlog.testing.capture_logs() as entries:
            answers = [await user.request("GET") for _ in range(REQUESTS)]
        health = [(await user.client.get("/health")).status_code for _ in range(20)]
    failed = [answer for answer in answers if answer.status_code == 500]
    # Fewer or more than these come by chance once in 10^12 runs.
    assert 50 <= len(failed) <= 150
    assert {answer.status_code for answer in answers} == {200, 500}
    assert {answer.headers["content-type"] for answer in failed} == {"application/problem+json"}
    assert failures() - before == len(failed)
    assert sum(entry["event"] == "unexpected error" for entry in entries) == len(failed)
    assert set(health) == {200}


async def test_latency_is_added_to_the_api_and_failing_requests_write_nothing(
    shared_database_url: str,
) -> None:
    settings = service_settings(shared_database_url, fault_error_rate=1, fault_latency_seconds=0.2)
    async with running_service(settings) as service, service.user() as user:
        started = perf_counter()
        answer = await user.request("POST", json={"title": "never there"})
        assert (answer.status_code, perf_counter() - started >= 0.2) == (500, True)
    async with (
        running_service(service_settings(shared_database_url)) as service,
        service.user(user.id) as user,
    ):
        assert (await user.list())["count"] == 0
