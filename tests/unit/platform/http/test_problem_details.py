"""Each domain error has a problem response, and STATUS_BY_ERROR contains all of them."""

import json
from typing import Any

import pytest

from backend import errors as application_errors
from backend.api.errors import STATUS_BY_ERROR as APPLICATION_STATUSES
from backend.platform import errors
from backend.platform.errors import DomainError, InvalidInput, InvalidValue, ResourceNotFound
from backend.platform.http.problem_details import STATUS_BY_ERROR, internal_error_response, problem_response

SCOPE: dict[str, Any] = {"type": "http", "path": "/api/日/tasks", "state": {"request_id": "r1"}}
STATUSES = {**STATUS_BY_ERROR, **APPLICATION_STATUSES}
ERRORS = [
    kind
    for kind in {**vars(errors), **vars(application_errors)}.values()
    if isinstance(kind, type) and issubclass(kind, DomainError) and kind is not DomainError
]


def example(kind: type[DomainError]) -> DomainError:
    if kind is ResourceNotFound:
        return ResourceNotFound("task", 1)
    return kind(InvalidValue("/body/title", "is wrong")) if kind is InvalidInput else kind("It went wrong.")


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_problem_response(kind: type[DomainError]) -> None:
    error = example(kind)
    response = problem_response(SCOPE, error, STATUSES)
    assert 400 <= response.status_code < 600
    body = json.loads(bytes(response.body))
    assert list(body)[:6] == ["type", "title", "status", "detail", "instance", "request_id"]
    assert (body["type"], body["title"]) == (f"urn:task-service:problem:{error.code}", error.title)
    assert (body["status"], body["instance"]) == (response.status_code, "/api/%E6%97%A5/tasks")
    assert ("errors" in body) == (kind is InvalidInput)


@pytest.mark.parametrize("kind", ERRORS)
def test_responses_have_the_headers_of_their_status(kind: type[DomainError]) -> None:
    error = example(kind)
    response = problem_response(SCOPE, error, STATUSES)
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == "Bearer"
    assert ("retry-after" in response.headers) == (
        response.status_code in {503, 504}
        or error.code in {"idempotency-key-in-progress", "concurrent-update"}
    )


def test_codes_are_unique() -> None:
    assert len({example(kind).code for kind in ERRORS}) == len(ERRORS) >= 11


def test_unexpected_error_reveals_only_the_request_id() -> None:
    response = internal_error_response(SCOPE)
    body = json.loads(bytes(response.body))
    assert (response.status_code, body["type"], body["request_id"]) == (500, "about:blank", "r1")
