"""Accelerator `fast_route`: calls a route's dependencies without FastAPI's general solver.

Uses these internals of FastAPI: `fastapi.routing.iter_route_contexts`, the attributes of a route context
(`dependant`, `path_regex`, `param_convertors`), and those of `fast_route_calls`. If one of them differs, no fast route is installed.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Mount, Route

from backend.platform.http.fast_route_calls import DependencyCall, flatten_dependencies, repeatable_names
from backend.platform.http.route_path import get_route_path
from backend.platform.settings.fast_paths import fall_back, is_on

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping

    from fastapi.routing import RouteContext
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FastRoute", "FastRouteMiddleware", "install"]

_EXCEPTION_KEY = "fast_route.exception"


def install(app: FastAPI) -> None:
    """Put the fast routes of the application in front of its router: one for each route with a supported signature.

    FastAPI's own routes stay. They serve every request that a fast route declines, and the OpenAPI document uses them.

    Args:
        app: The application, with all of its routes added.
    """
    if not is_on("fast_route"):
        return
    try:
        routes = list(_fast_routes(app))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        fall_back("fast_route", f"FastAPI's internals differ ({type(error).__name__}: {error})")
    else:
        app.user_middleware.append(Middleware(FastRouteMiddleware, owner=app, routes=routes))


class FastRouteMiddleware:
    """Serves the requests that a fast route accepts, as the innermost middleware of the application.

    It also replaces what FastAPI puts around its router for each request: an exit stack, which only dependencies and
    bodies that a fast route declines use, and Starlette's exception handling, which here runs only after an exception.

    Args:
        owner: The application.
        routes: Its fast routes, in order of precedence.
    """

    def __init__(self, app: ASGIApp, owner: FastAPI, routes: list[FastRoute]) -> None:
        self._app = app
        self._owner = owner
        self._routes: dict[str, list[FastRoute]] = {}
        for route in routes:
            for method in route.methods:
                self._routes.setdefault(method, []).append(route)
        # FastAPI's middleware stack takes the same handlers, and is built at the same time.
        handlers = {
            kind: each for kind, each in owner.exception_handlers.items() if kind not in (500, Exception)
        }
        self._handle_exception = ExceptionMiddleware(_raise_exception, handlers=handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not self._owner.dependency_overrides:
            path = get_route_path(scope)
            for route in self._routes.get(scope["method"], ()):
                if (arguments := route.match(path, scope)) is not None:
                    try:
                        response = await route.respond(Request(scope, receive, send), arguments)
                    except Exception as exception:  # noqa: BLE001 - raised again, where handlers apply
                        scope[_EXCEPTION_KEY] = exception
                        await self._handle_exception(scope, receive, send)
                    else:
                        await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _raise_exception(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise scope.pop(_EXCEPTION_KEY)


class FastRoute:
    """Serves the requests of one `APIRoute` that use only FastAPI's most common features.

    FastAPI's solver handles every kind of parameter, and opens three exit stacks for each request. This one handles path
    parameters, one model of query parameters, the request and async dependencies (docs/decisions/0026-fast-route.md).
    It declines requests with invalid parameters. FastAPI's own route then serves them.
    """

    def __init__(
        self, route: RouteContext, calls: list[DependencyCall], shadows: list[re.Pattern[str]]
    ) -> None:
        self.methods = frozenset(route.methods or ())
        self._route = route.original_route
        self._endpoint = route.endpoint
        self._path_regex: re.Pattern[str] = route.path_regex
        # Most convertors return their argument.
        self._convertors = [
            (name, each.convert)
            for name, each in route.param_convertors.items()
            if type(each).convert is not StringConvertor.convert
        ]
        self._calls = calls
        self._shadows = shadows
        models = [call.query_param for call in calls if call.query_param is not None]
        self._has_query = bool(models)
        self._repeatable = [name for model in models for name in repeatable_names(model) or ()]
        # Raises here, at installation, if `validate` has another signature.
        self._arguments(dict.fromkeys(route.param_convertors, ""), {})

    def match(self, path: str, scope: Scope) -> list[dict[str, Any]] | None:
        """Return the arguments of each call and update the scope as FastAPI's route does, or None for another route.

        Args:
            path: The path of the request, without the root path.
            scope: The scope of the request.
        """
        match = self._path_regex.fullmatch(path)
        if match is None or (self._shadows and any(pattern.match(path) for pattern in self._shadows)):
            return None
        path_params = {**scope.get("path_params", {}), **match.groupdict()}
        for name, convert in self._convertors:
            path_params[name] = convert(path_params[name])
        arguments = self._arguments(path_params, self._query(scope) if self._has_query else {})
        if arguments is not None:
            scope["endpoint"] = self._endpoint
            scope["path_params"] = path_params
            scope["route"] = self._route
        return arguments

    async def respond(self, request: Request, arguments: list[dict[str, Any]]) -> Response:
        """Call the dependencies and the endpoint, and return its response.

        Args:
            request: The request.
            arguments: The result of `match`.
        """
        results: list[Any] = []
        for call, values in zip(self._calls, arguments, strict=True):
            for name, index in call.results:
                values[name] = results[index]
            if call.request_name is not None:
                values[call.request_name] = request
            results.append(await call.function(**values))
        response: Response = results[-1]
        return response

    def _query(self, scope: Scope) -> dict[str, Any]:
        if not scope["query_string"]:
            return {}
        params = QueryParams(scope["query_string"])
        query: dict[str, Any] = dict(params)
        return query | {name: params.getlist(name) for name in self._repeatable if name in query}

    def _arguments(
        self, path_params: Mapping[str, Any], query: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """Return the validated parameters of each call, or None if one is invalid."""
        arguments = []
        for call in self._calls:
            values: dict[str, Any] = {}
            for name, alias, validate in call.path_params:
                value = path_params[alias]
                if validate is not None:
                    value, errors = validate(value, loc=("path", alias))
                    if errors:
                        return None
                values[name] = value
            if call.query_param is not None:
                values[call.query_param.name], errors = call.query_param.validate(query, loc=("query",))
                if errors:
                    return None
            arguments.append(values)
        return arguments


def _fast_routes(app: FastAPI) -> Iterator[FastRoute]:
    from fastapi.routing import iter_route_contexts  # noqa: PLC0415 - may be missing

    earlier: list[RouteContext] = []
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, (Route, Mount)):
            return  # it can match any path, and takes precedence over the routes after it
        calls: list[DependencyCall] = []
        is_fast = isinstance(route.original_route, APIRoute) and _returns_response(route)
        if is_fast and flatten_dependencies(calls, route.dependant):
            shadows = [each.path_regex for each in earlier if _may_overlap(each, route)]
            yield FastRoute(route, calls, shadows)
        else:
            earlier.append(route)


def _returns_response(route: RouteContext) -> bool:
    annotation = (
        inspect.signature(route.endpoint, eval_str=True).return_annotation if route.endpoint else None
    )
    return isinstance(annotation, type) and issubclass(annotation, Response) and route.max_body_size is None


def _may_overlap(first: RouteContext, second: RouteContext) -> bool:
    prefix, other = ((route.path or "").partition("{")[0] for route in (first, second))
    return prefix.startswith(other) or other.startswith(prefix)
