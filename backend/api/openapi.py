"""Completes the OpenAPI document with what FastAPI cannot see: tokens, bodies, headers, problems."""

from functools import partial
from http import HTTPStatus
from importlib import metadata
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from backend.platform.http.problem_details import MEDIA_TYPE
from backend.platform.http.problem_schema import Problem
from backend.schemas.task import TaskCreate, TaskUpdate

__all__ = ["DESCRIPTION", "install", "operation_id", "version"]

DESCRIPTION: Final = """The tasks of one user at a time, kept in PostgreSQL.

Send the token of your Better Auth frontend as `Authorization: Bearer <token>`; its `sub` is the
`{user_id}` of every path. Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem."""

_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait before trying again."}
_PROBLEMS: Final[dict[int, tuple[str, dict[str, str]]]] = {
    401: (
        "No token, or one that does not verify; when a task is created, also one whose user was deleted.",
        {"WWW-Authenticate": "`Bearer`."},
    ),
    403: ("`{user_id}` is not the token's `sub`.", {}),
    404: ("You have no such task.", {}),
    408: ("The body did not arrive in time.", {}),
    409: ("Concurrent requests are in the way, or the user cannot be registered.", _RETRY_AFTER),
    412: ("The task is not at the version asked for.", {}),
    413: ("The body is too large.", {}),
    415: ("The body is not JSON.", {}),
    422: ("The input breaks a rule; `errors` says which.", {}),
    429: ("More requests in a minute than the deployment allows a user.", _RETRY_AFTER),
    500: ("The service or its database is not set up correctly; to repeat the request does not help.", {}),
    503: ("The database, or the frontend's key set, is away.", _RETRY_AFTER),
    504: ("The database did not answer in time.", _RETRY_AFTER),
}
_ALWAYS: Final = (401, 403, 422, 429, 500, 503, 504)
_BODY: Final = (408, 409, 413, 415)
_ERRORS: Final[dict[str, tuple[int, ...]]] = {
    "list_tasks": _ALWAYS,
    "create_task": (*_ALWAYS, *_BODY),
    "get_task": (*_ALWAYS, 404, 412),
    "replace_task": (*_ALWAYS, *_BODY, 404, 412),
    "update_task": (*_ALWAYS, *_BODY, 404, 412),
    "complete_task": (*_ALWAYS, 404, 409, 412),
    "delete_task": (*_ALWAYS, 404, 409, 412),
}
_BODIES: Final[dict[str, type[BaseModel]]] = {
    "create_task": TaskCreate,
    "replace_task": TaskUpdate,
    "update_task": TaskUpdate,
}
_EXAMPLES: Final[dict[type[BaseModel], dict[str, Any]]] = {
    TaskCreate: {"title": "Buy milk", "description": "Two litres, oat"},
    TaskUpdate: {"title": "Buy oat milk"},
}
_ETAG: Final = {"ETag": "The task's version, for `If-Match` and `If-None-Match`."}
_ANSWER_HEADERS: Final[dict[str, dict[str, str]]] = {
    "list_tasks": {"Link": '`<…>; rel="next"`: the next page, relative to this one.'},
    "create_task": {"Location": "The new task's path.", **_ETAG},
    "get_task": _ETAG,
    "replace_task": _ETAG,
    "update_task": _ETAG,
    "complete_task": _ETAG,
}
_TAGS: Final = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'
_IF_MATCH: Final = (
    "If-Match",
    _TAGS,
    'Only if the task has one of these entity tags (RFC 9110 §13.1.1), such as `"v3"`.',
)
_IF_NONE_MATCH: Final = (
    "If-None-Match",
    _TAGS,
    "Only if the task has none of these entity tags (RFC 9110 §13.1.2).",
)
_SENT_HEADERS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "create_task": (
        (
            "Idempotency-Key",
            '^("[!#-~]{1,255}"|[!#-~]{1,255})$',
            "1 to 255 printable ASCII characters, no spaces or quotes: a repeat within 24 hours gets the first answer.",
        ),
    ),
    **dict.fromkeys(
        ("get_task", "replace_task", "update_task", "complete_task", "delete_task"),
        (_IF_MATCH, _IF_NONE_MATCH),
    ),
}


def version() -> str:
    """Return the service's version, which stands in pyproject.toml alone."""
    return metadata.version("task-service")


def operation_id(route: Any) -> str:
    """Return the name of a route's function, which generated clients take for theirs."""
    return str(route.name)


def install(app: FastAPI) -> None:
    """Make the application serve the completed document."""
    app.openapi = partial(_document, app)  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        models = [(model, "validation") for model in (TaskCreate, TaskUpdate, Problem)]
        _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # a list of literals
        schemas.update(definitions["$defs"])
        document["components"]["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The token of the Better Auth frontend; in development `task-service token`.",
            }
        }
        for path in document["paths"].values():
            for operation in path.values():
                if operation["operationId"] in _ERRORS:
                    _complete(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    operation["security"] = [{"token": []}]
    if model := _BODIES.get(name):
        schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        content = {"application/json": {"schema": schema, "example": _EXAMPLES[model]}}
        operation["requestBody"] = {"required": True, "content": content}
    for header, pattern, description in _SENT_HEADERS.get(name, ()):
        operation["parameters"].append(
            {
                "name": header,
                "in": "header",
                "required": False,
                "description": description,
                "schema": {"type": "string", "pattern": pattern},
            }
        )
    responses = operation["responses"]
    success = next(status for status in responses if status.startswith("2"))
    headers = {"X-Request-ID": "The request's id in the log."} | _ANSWER_HEADERS.get(name, {})
    responses[success]["headers"] = _headers(headers)
    if name == "get_task":
        responses["304"] = {
            "description": "The task is at a version that `If-None-Match` names.",
            "headers": _headers(_ETAG),
        }
    for status in sorted(_ERRORS[name]):
        description, extra = _PROBLEMS[status]
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {description}",
            "headers": _headers({"X-Request-ID": "The request's id in the log."} | extra),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }


def _headers(descriptions: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in descriptions.items()}
