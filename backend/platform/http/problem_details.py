"""Maps errors to responses: problem details in `application/problem+json` (RFC 9457)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount
from starlette.types import Scope

from backend.platform.errors import (
    ConcurrentUpdate,
    DatabaseMisconfigured,
    DatabaseTimeout,
    DatabaseUnavailable,
    DomainError,
    IdempotencyKeyInProgress,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidToken,
    InvalidValue,
    PathUserMismatch,
    PreconditionFailed,
    ResourceNotFound,
    SigningKeysUnavailable,
)
from backend.platform.service_name import SERVICE_NAME

__all__ = [
    "MEDIA_TYPE",
    "STATUS_BY_ERROR",
    "TYPE_PREFIX",
    "HttpError",
    "StatusByError",
    "internal_error_response",
    "problem_response",
    "register_exception_handlers",
    "validation_error",
]

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = f"urn:{SERVICE_NAME}:problem:"
_MAX_ERRORS: Final = 20
"""Maximum errors in a response: a body of many unknown fields must not cause a response many times its size."""

_RETRY_AFTER: Final = {"Retry-After": "2"}

type StatusByError = Mapping[type[DomainError], tuple[HTTPStatus, Mapping[str, str]]]
"""The status of each class of error, and the headers sent with it."""

STATUS_BY_ERROR: Final[StatusByError] = {
    InvalidToken: (HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}),
    SigningKeysUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, _RETRY_AFTER),
    PathUserMismatch: (HTTPStatus.FORBIDDEN, {}),
    ResourceNotFound: (HTTPStatus.NOT_FOUND, {}),
    PreconditionFailed: (HTTPStatus.PRECONDITION_FAILED, {}),
    InvalidInput: (HTTPStatus.UNPROCESSABLE_CONTENT, {}),
    IdempotencyKeyReused: (HTTPStatus.UNPROCESSABLE_CONTENT, {}),
    IdempotencyKeyInProgress: (HTTPStatus.CONFLICT, {"Retry-After": "1"}),
    ConcurrentUpdate: (HTTPStatus.CONFLICT, {"Retry-After": "1"}),
    DatabaseUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, _RETRY_AFTER),
    DatabaseTimeout: (HTTPStatus.GATEWAY_TIMEOUT, _RETRY_AFTER),
    # Not 503: by RFC 9110 §15.6.4 a delay likely alleviates that condition, and clients try again.
    DatabaseMisconfigured: (HTTPStatus.INTERNAL_SERVER_ERROR, {}),
}


class HttpError(Exception):
    """An error of HTTP itself: a body that is too large, too slow, or of the wrong type.

    Args:
        status: 400, 408, 413 or 415.
        detail: One sentence for the caller.
        headers: Additional response headers.
    """

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def problem_response(
    scope: Scope, error: DomainError | HttpError, statuses: StatusByError = STATUS_BY_ERROR
) -> Response:
    """Return the response to an error, which is also an ASGI application.

    Args:
        scope: ASGI scope of the request, for `instance` and `request_id`.
        error: The error.
        statuses: Contains the class of every possible `DomainError`.
    """
    if isinstance(error, HttpError):
        return _problem(scope, error.status, error.detail, headers=error.headers)
    status, headers = statuses[type(error)]
    return _problem(
        scope, status, error.detail, code=error.code, title=error.title, errors=error.errors, headers=headers
    )


def internal_error_response(scope: Scope) -> Response:
    """Return the 500 response, which names the request's id but not the cause."""
    detail = "Something went wrong here. The request_id leads to the log."
    return _problem(scope, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def validation_error(errors: Iterable[ErrorDetails], prefix: str = "") -> InvalidInput:
    """Convert Pydantic's errors, without the input, which JSON may be unable to represent.

    Args:
        errors: At least one.
        prefix: JSON pointer to which their locations are relative, such as `/body`.
    """
    first = islice(errors, _MAX_ERRORS)
    return InvalidInput(*(InvalidValue(prefix + _pointer(error["loc"]), _sentence(error)) for error in first))


def register_exception_handlers(app: FastAPI, statuses: StatusByError) -> None:
    """Make the application respond to every error with problem details (RFC 9457).

    Args:
        app: The application.
        statuses: The statuses of its own errors; those of the platform are known.
    """
    all_statuses = {**STATUS_BY_ERROR, **statuses}

    async def on_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, (DomainError, HttpError))  # noqa: S101 - Starlette types handlers loosely
        return problem_response(request.scope, error, all_statuses)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return problem_response(request.scope, validation_error(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of the first matching route only.
            headers["Allow"] = ", ".join(_methods(app, request.scope))
        return _problem(request.scope, status, status.description or status.phrase, headers=headers)

    async def on_disconnect(request: Request, _error: Exception) -> Response:
        # No client reads it; the metrics count it as an error of the client.
        incomplete = HttpError(HTTPStatus.BAD_REQUEST, "The body ended before it was complete.")
        return problem_response(request.scope, incomplete)

    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(DomainError, on_error)
    app.add_exception_handler(HttpError, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _problem(
    scope: Scope,
    status: HTTPStatus,
    detail: str,
    *,
    code: str | None = None,
    title: str | None = None,
    errors: Iterable[InvalidValue] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {
        # RFC 9457 §4.2.1: about:blank adds nothing to the meaning of the status.
        "type": f"{TYPE_PREFIX}{code}" if code else "about:blank",
        "title": title or status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": quote(scope["path"]),
        "request_id": scope["state"]["request_id"],
    }
    if listed := [error._asdict() for error in errors]:
        body["errors"] = listed
    return Response(msgspec.json.encode(body), status, headers, media_type=MEDIA_TYPE)


def _pointer(location: Iterable[int | str]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known here; take it out"
    return error["msg"].removeprefix("Value error, ")


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """Return the methods that the path supports, HEAD wherever GET is (`HeadMiddleware`)."""
    # A mounted application changes the root path of the scope and matches every method; here it serves files.
    root_path = scope.get("app_root_path", scope.get("root_path", ""))

    def is_supported(method: str) -> bool:
        trial = {**scope, "root_path": root_path, "method": method}
        return any(
            route.matches(trial)[0] is Match.FULL and (method == "GET" or not isinstance(route, Mount))
            for route in app.router.routes
        )

    methods = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if is_supported(method)]
    return ["GET", "HEAD", *methods[1:]] if "GET" in methods else methods
