"""A route that calls its dependencies itself: FastAPI's general solver costs more than the rest of a request."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, override

from fastapi import Request
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette._utils import get_route_path
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

__all__ = ["FastRoute"]


class FastRoute(APIRoute):
    """An `APIRoute` whose function and dependencies are async, and which returns a `Response`.

    Signatures, validation and OpenAPI are FastAPI's. Its way from a request to the function is made for
    everything that a signature can ask for; this one knows what ours do, and refuses the rest at the start
    (docs/decisions/0026-fast-route.md).

    Raises:
        TypeError: The signature needs what FastAPI's own route alone can do.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._calls: list[_Call] = []
        _append(self._calls, self.dependant)
        self.app = self._answer

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # FastAPI looks for much else before it looks at the path, and most requests are another route's.
        # All of the path: the `$` of Starlette's expression also matches before a newline at the end.
        if self.path_regex.fullmatch(get_route_path(scope)) is None:
            return Match.NONE, {}
        return super().matches(scope)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        results: list[Any] = []
        for call in self._calls:
            results.append(await call.function(**call.arguments(request, results)))
        await results[-1](scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Call:
    """A dependency, or at last the route's own function, and where its arguments come from."""

    function: Callable[..., Any]
    results: list[tuple[str, int]]
    path_params: list[ModelField]
    query_params: list[ModelField]
    request_name: str | None

    def arguments(self, request: Request, results: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = {name: results[place] for name, place in self.results}
        errors: list[Any] = []
        for field in self.path_params:
            given = request.scope["path_params"][field.alias]
            values[field.name], found = field.validate(given, loc=("path", field.alias))
            errors += found
        for field in self.query_params:
            values[field.name], found = field.validate(dict(request.query_params), loc=("query",))
            errors += found
        if errors:
            raise RequestValidationError(errors)
        if self.request_name is not None:
            values[self.request_name] = request
        return values


def _append(calls: list[_Call], dependant: Dependant) -> int:
    """Add a function behind those that it depends on, each of them once, and return its place."""
    _refuse_unknown(dependant)
    results = [(each.name, _append(calls, each)) for each in dependant.dependencies]
    for place, call in enumerate(calls):
        if call.function is dependant.call:
            return place
    calls.append(
        _Call(
            dependant.call,  # type: ignore[arg-type]  # a function, as _refuse_unknown saw
            [(name, place) for name, place in results if name is not None],
            dependant.path_params,
            dependant.query_params,
            dependant.request_param_name,
        )
    )
    return len(calls) - 1


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
