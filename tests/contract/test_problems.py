"""Every error is a problem document (RFC 9457) that a frontend in a browser can read."""

from collections.abc import AsyncIterator
from typing import Never

import httpx
import pytest
import structlog
from pydantic import ConfigDict

from backend.platform.http.problem_schema import Problem
from tests.support.service import RunningService, User, running_service, service_settings

ORIGIN = "http://localhost:3000"
FOREIGN = "https://evil.example"


class StrictProblem(Problem):
    model_config = ConfigDict(extra="forbid", strict=True)


class Broken:
    """A service in which something goes wrong that no one expected."""

    def __getattr__(self, _name: str) -> Never:
        raise RuntimeError("the secret of the database")


@pytest.fixture
async def broken(shared_database_url: str) -> AsyncIterator[User]:
    async with running_service(service_settings(shared_database_url)) as service, service.user() as user:
        service.app.state.task_service = Broken()
        yield user


def check(answer: httpx.Response, status: int, kind: str) -> StrictProblem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = StrictProblem.model_validate_json(answer.content)
    assert (problem.status, problem.type) == (status, kind)
    assert problem.instance == answer.url.raw_path.decode()
    assert problem.request_id == answer.headers["x-request-id"]
    assert bool(problem.errors) == (status == 422)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "{tasks}/9223372036854775807", 404, "urn:task-service:problem:task-not-found"),
        ("GET", "/nowhere", 404, "about:blank"),
        ("PUT", "{tasks}", 405, "about:blank"),
        ("GET", "/api/another/tasks", 403, "urn:task-service:problem:not-owner"),
        ("POST", "{tasks}", 415, "about:blank"),
        ("GET", "{tasks}/x", 422, "urn:task-service:problem:invalid-input"),
    ],
)
async def test_every_error_is_a_complete_problem(
    alice: User, method: str, path: str, status: int, kind: str
) -> None:
    answer = await alice.client.request(
        method,
        path.replace("{tasks}", alice.tasks),
        headers={"Origin": ORIGIN, "X-Request-ID": "from.here-1"},
    )
    assert check(answer, status, kind).request_id == "from.here-1"


async def test_unexpected_failure_reveals_no_cause(broken: User) -> None:
    for method, body in (("GET", None), ("POST", {"title": "T"})):
        with structlog.testing.capture_logs() as entries:
            answer = await broken.request(method, headers={"Origin": ORIGIN}, json=body)
        problem = check(answer, 500, "about:blank")
        assert problem.title == "Internal Server Error"
        assert "secret" not in answer.text
        assert [entry["path"] for entry in entries if entry["log_level"] == "error"] == [broken.tasks]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}, {"Cookie": "token=x"}]
)
async def test_missing_token_is_readable_by_the_frontend(
    service: RunningService, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.get("/api/alice/tasks", headers={"Origin": ORIGIN, **headers})
    check(answer, 401, "urn:task-service:problem:invalid-token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("id_given", ["", "a b", "x" * 129, "a/b", "ü"])
async def test_request_id_unsafe_for_logs_is_replaced(alice: User, id_given: str) -> None:
    answer = await alice.client.get(alice.tasks, headers=[(b"X-Request-ID", id_given.encode())])
    assert len(answer.headers["x-request-id"]) == 32


# What browsers' frontends and instrumentation add: W3C, OpenTelemetry, Sentry, Zipkin, Datadog, New Relic, Jaeger, …
SENT_BY_BROWSERS = (
    "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id, accept-language,"
    "traceparent, tracestate, baggage, sentry-trace, b3, x-b3-traceid, x-b3-spanid, x-b3-sampled, uber-trace-id,"
    "x-datadog-trace-id, x-datadog-origin, newrelic, elastic-apm-traceparent, x-amzn-trace-id, request-id,"
    "request-context, x-cloud-trace-context, cache-control, pragma, x-requested-with, if-modified-since"
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_preflight_of_the_frontend_needs_no_token(service: RunningService, method: str) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.options(
            "/api/alice/tasks",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": SENT_BY_BROWSERS,
            },
        )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == SENT_BY_BROWSERS
    assert "Access-Control-Request-Headers" in answer.headers["vary"]


async def test_other_origins_are_not_allowed(alice: User) -> None:
    preflight = await alice.client.options(
        alice.tasks,
        headers={
            "Origin": FOREIGN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.status_code == 400
    for answer in (preflight, await alice.client.get(alice.tasks, headers={"Origin": FOREIGN})):
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
