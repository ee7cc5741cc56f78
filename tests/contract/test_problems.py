"""Every error is a problem document (RFC 9457) that a frontend in a browser can read."""

import httpx
import pytest
from pydantic import ConfigDict

from backend.platform.http.problem_schema import Problem
from tests.support.service import RunningService, User

ORIGIN = "http://localhost:3000"
FOREIGN = "https://evil.example"


class StrictProblem(Problem):
    model_config = ConfigDict(extra="forbid", strict=True)


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


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}])
async def test_missing_token_is_readable_by_the_frontend(
    service: RunningService, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.get("/api/alice/tasks", headers={"Origin": ORIGIN, **headers})
    check(answer, 401, "urn:task-service:problem:invalid-token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


async def test_preflight_of_the_frontend_needs_no_token(service: RunningService) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.options(
            "/api/alice/tasks",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "authorization, traceparent",
            },
        )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, traceparent"


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
