"""A route that calls its dependencies itself: FastAPI's general solver costs more than the rest of a request."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

__all__ = ["DirectRoute"]


class DirectRoute(APIRoute):
    """An `APIRoute` whose function and dependencies are async, and which returns a `Response`.

    Signatures, validation and OpenAPI are FastAPI's. Its way from a request to the function is made for
    everything that a signature can ask for; this one knows what ours do, and refuses the rest at the start
    (docs/decisions/0026-direct-routes.md).

    Raises:
        TypeError: The signature needs what FastAPI's own route alone can do.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        _refuse_unknown(self.dependant)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        values = await _values(self.dependant, Request(scope, receive, send), {})
        response = await self.endpoint(**values)
        await response(scope, receive, send)


async def _values(
    dependant: Dependant, request: Request, solved: dict[Callable[..., Any] | None, Any]
) -> dict[str, Any]:
    """Return the arguments of a function; each dependency is called once, and before parameters are read."""
    values: dict[str, Any] = {}
    for each in dependant.dependencies:
        call = each.call
        if call not in solved:
            solved[call] = await call(**await _values(each, request, solved))  # type: ignore[misc]  # a function, as _refuse_unknown saw
        if each.name is not None:
            values[each.name] = solved[call]
    errors: list[Any] = []
    for field in dependant.path_params:
        values[field.name], found = field.validate(
            request.scope["path_params"][field.alias], loc=("path", field.alias)
        )
        errors += found
    for field in dependant.query_params:
        values[field.name], found = field.validate(dict(request.query_params), loc=("query",))
        errors += found
    if errors:
        raise RequestValidationError(errors)
    if dependant.request_param_name is not None:
        values[dependant.request_param_name] = request
    return values


def _refuse_unknown(dependant: Dependant) -> None:
    query_types = [field.field_info.annotation for field in dependant.query_params]
    unknown = (
        not all(isinstance(each, type) and issubclass(each, BaseModel) for each in query_types)
        or dependant.header_params
        or dependant.cookie_params
        or dependant.body_params
        or dependant.websocket_param_name
        or dependant.http_connection_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or not dependant.use_cache
    )
    if unknown or not iscoroutinefunction(dependant.call):
        raise TypeError(
            f"{dependant.call} needs FastAPI's own route: it is not async, or has other parameters."
        )
    for each in dependant.dependencies:
        _refuse_unknown(each)
