"""The parts of a route's OpenAPI that FastAPI does not derive from the code: problems, JSON bodies and headers."""

from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from backend.platform.http.conditional_requests import ENTITY_TAGS_PATTERN
from backend.platform.http.problem_details import MEDIA_TYPE

__all__ = [
    "ETAG",
    "IDEMPOTENCY_KEY",
    "NEXT_LINK",
    "RequestBody",
    "header_objects",
    "preconditions",
    "problem_responses",
    "request_body",
    "request_headers",
    "response_headers",
]

type Responses = dict[int | str, dict[str, Any]]
"""Type of the `responses` argument of FastAPI's decorators."""

_COMMON_STATUSES: Final = (401, 403, 422, 500, 503, 504)
_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait before trying again."}
_PROBLEMS: Final[dict[int, tuple[str, dict[str, str]]]] = {
    401: (
        "The token is missing or invalid; when a {0} is created, also if its user was deleted.",
        {"WWW-Authenticate": "`Bearer`."},
    ),
    403: ("`{{user_id}}` is not the token's `sub`.", {}),
    404: ("The user has no such {0}.", {}),
    408: ("The body did not arrive in time.", {}),
    409: ("Concurrent requests conflict, or the user cannot be registered.", _RETRY_AFTER),
    412: ("The {0} is not at the requested version.", {}),
    413: ("The body is too large.", {}),
    415: ("The body is not JSON.", {}),
    422: ("The input is invalid; `errors` contains each violation.", {}),
    500: ("The service or its database is not configured correctly; a retry does not help.", {}),
    503: ("The database, or the frontend's key set, is unavailable.", _RETRY_AFTER),
    504: ("The database did not respond in time.", _RETRY_AFTER),
}

IDEMPOTENCY_KEY: Final = (
    "Idempotency-Key",
    '^("[!#-~]{1,255}"|[!#-~]{1,255})$',
    "1 to 255 printable ASCII characters, no spaces or quotes: a repeat within 24 hours gets the first response.",
)
"""The request header of `IdempotencyKeyDep`."""

NEXT_LINK: Final = {"Link": '`<…>; rel="next"`: the next page, relative to this one.'}
"""The response header of `page_response`."""

ETAG: Final = {"ETag": "The version, for `If-Match` and `If-None-Match`."}
"""The response header of `entity_response`."""


def preconditions(resource: str) -> tuple[tuple[str, str, str], ...]:
    """Return the request headers of `PreconditionDep`; `resource` is a noun, such as `task`."""
    return (
        (
            "If-Match",
            ENTITY_TAGS_PATTERN,
            f'Only if the {resource} has one of these entity tags (RFC 9110 §13.1.1), such as `"v3"`.',
        ),
        (
            "If-None-Match",
            ENTITY_TAGS_PATTERN,
            f"Only if the {resource} has none of these entity tags (RFC 9110 §13.1.2).",
        ),
    )


def problem_responses(resource: str, *statuses: int) -> Responses:
    """Return the problem responses of a route (`responses=`): the common ones and the given ones.

    Args:
        resource: Noun in the descriptions, such as `task`.
        statuses: Any of 404, 408, 409, 412, 413 and 415.
    """
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {_PROBLEMS[status][0].format(resource)}",
            "headers": header_objects(_PROBLEMS[status][1]),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*_COMMON_STATUSES, *statuses})
    }


def response_headers(status: int, headers: dict[str, str], description: str | None = None) -> Responses:
    """Return the headers of a response (`responses=`).

    Args:
        status: HTTP status.
        headers: The description of each header, by name.
        description: The description of the response. None keeps that of FastAPI.
    """
    response: dict[str, Any] = {"headers": header_objects(headers)}
    return {status: response if description is None else {"description": description} | response}


class RequestBody(dict[str, Any]):
    """A `requestBody` with its model, whose schema becomes a component of the document."""

    model: type[BaseModel]


def request_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return the request body of a route that uses `json_body` (`openapi_extra=`)."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    body = RequestBody(required=True, content={"application/json": {"schema": schema, "example": example}})
    body.model = model
    return {"requestBody": body}


def request_headers(*headers: tuple[str, str, str]) -> dict[str, Any]:
    """Return optional request headers of a route (`openapi_extra=`): name, pattern and description of each."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": description,
                "schema": {"type": "string", "pattern": pattern},
            }
            for name, pattern, description in headers
        ]
    }


def header_objects(descriptions: dict[str, str]) -> dict[str, Any]:
    """Return the OpenAPI header objects of a response, from the description of each header."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in descriptions.items()}
