"""Accelerator `fast_route`: calls a route's dependencies without FastAPI's general solver.

Uses these internals of FastAPI: `fastapi.routing.iter_route_contexts`, the attributes of a route context
(`dependant`, `path_regex`, `param_convertors`), `fastapi.dependencies.models.Dependant`, and
`fastapi._compat.ModelField.validate` and `field_annotation_is_scalar[_sequence]`. If one of them differs, no fast route is installed.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.convertors import StringConvertor
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Match, Mount, Route

from backend.platform.http.route_path import get_route_path
from backend.platform.settings.fast_paths import fall_back, is_on

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping

    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant
    from fastapi.routing import RouteContext
    from starlette.types import Receive, Scope, Send

__all__ = ["FastRoute", "install"]

_ARGUMENTS_KEY = "fast_route.arguments"


def install(app: FastAPI) -> None:
    """Insert a fast route before each route of the application with a supported signature.

    FastAPI's own routes stay. They serve every request that a fast route declines, and the OpenAPI document uses them.

    Args:
        app: The application, with all of its routes added.
    """
    if not is_on("fast_route"):
        return
    try:
        app.router.routes[:0] = list(_fast_routes(app))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        fall_back("fast_route", f"FastAPI's internals differ ({type(error).__name__}: {error})")


class FastRoute(BaseRoute):
    """Serves the requests of one `APIRoute` that use only FastAPI's most common features.

    FastAPI's solver handles every kind of parameter, and opens three exit stacks for each request. This one handles path
    parameters, one model of query parameters, the request and async dependencies (docs/decisions/0026-fast-route.md).
    It declines requests with invalid parameters, and all requests while the application has `dependency_overrides`.
    FastAPI's own route then serves them.
    """

    def __init__(
        self, app: FastAPI, route: RouteContext, calls: list[_DependencyCall], shadows: list[re.Pattern[str]]
    ) -> None:
        self.path_format = route.path_format  # FastAPI's router reads it from each route that matches
        self._app = app
        self._route = route.original_route
        self._endpoint = route.endpoint
        self._methods = frozenset(route.methods or ())
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
        self._repeatable = [name for model in models for name in _repeatable_names(model) or ()]
        # Raises here, at installation, if `validate` has another signature.
        self._arguments(dict.fromkeys(route.param_convertors, ""), {})

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request that this route serves with the same result as FastAPI's route."""
        if scope["type"] != "http" or scope["method"] not in self._methods:
            return Match.NONE, {}
        path = get_route_path(scope)
        match = self._path_regex.fullmatch(path)
        if (
            match is None
            or self._app.dependency_overrides
            or (self._shadows and any(pattern.match(path) for pattern in self._shadows))
        ):
            return Match.NONE, {}
        path_params = {**scope.get("path_params", {}), **match.groupdict()}
        for name, convert in self._convertors:
            path_params[name] = convert(path_params[name])
        arguments = self._arguments(path_params, self._query(scope) if self._has_query else {})
        if arguments is None:
            return Match.NONE, {}
        return Match.FULL, {
            "endpoint": self._endpoint,
            "path_params": path_params,
            "route": self._route,
            _ARGUMENTS_KEY: arguments,
        }

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the dependencies and the endpoint, and send its response."""
        request = Request(scope, receive, send)
        results: list[Any] = []
        for call, arguments in zip(self._calls, scope[_ARGUMENTS_KEY], strict=True):
            for name, index in call.results:
                arguments[name] = results[index]
            if call.request_name is not None:
                arguments[call.request_name] = request
            results.append(await call.function(**arguments))
        await results[-1](scope, receive, send)

    def _query(self, scope: Scope) -> dict[str, Any]:
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
                values[name], errors = validate(path_params[alias], loc=("path", alias))
                if errors:
                    return None
            if call.query_param is not None:
                values[call.query_param.name], errors = call.query_param.validate(query, loc=("query",))
                if errors:
                    return None
            arguments.append(values)
        return arguments


@dataclass(frozen=True, slots=True)
class _DependencyCall:
    """A call of a dependency or of the endpoint, and the sources of its arguments.

    `results` contains the name of each argument that is the result of an earlier call, and the index of that call.
    `path_params` contains the name of each argument that is a path parameter, its alias, and its validator.
    """

    function: Callable[..., Any]
    results: list[tuple[str, int]]
    path_params: list[tuple[str, str, Callable[..., Any]]]
    query_param: ModelField | None
    request_name: str | None


def _fast_routes(app: FastAPI) -> Iterator[FastRoute]:
    from fastapi.routing import iter_route_contexts  # noqa: PLC0415 - may be missing

    earlier: list[RouteContext] = []
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, (Route, Mount)):
            return  # it can match any path, and takes precedence over the routes after it
        calls: list[_DependencyCall] = []
        is_fast = isinstance(route.original_route, APIRoute) and _returns_response(route)
        if is_fast and _flatten_dependencies(calls, route.dependant):
            shadows = [each.path_regex for each in earlier if _may_overlap(each, route)]
            yield FastRoute(app, route, calls, shadows)
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


def _flatten_dependencies(calls: list[_DependencyCall], dependant: Dependant) -> bool:
    """Append the calls of a dependency tree, dependencies first, each once. Return False if one is unsupported."""
    if not _is_supported(dependant):
        return False
    results = []
    for each in dependant.dependencies:
        if not _flatten_dependencies(calls, each):
            return False
        if each.name is not None:
            results.append((each.name, next(i for i, call in enumerate(calls) if call.function is each.call)))
    if dependant.call is not None and all(call.function is not dependant.call for call in calls):
        query_param = next(iter(dependant.query_params), None)
        path_params = [(field.name, field.alias, field.validate) for field in dependant.path_params]
        call = _DependencyCall(
            dependant.call, results, path_params, query_param, dependant.request_param_name
        )
        calls.append(call)
    return True


def _is_supported(dependant: Dependant) -> bool:
    return (
        inspect.iscoroutinefunction(dependant.call)
        and dependant.use_cache
        and not any(_is_model(field) for field in dependant.path_params)
        and len(dependant.query_params) <= 1
        and all(_is_model(each) and _repeatable_names(each) is not None for each in dependant.query_params)
        and not (
            dependant.header_params
            or dependant.cookie_params
            or dependant.body_params
            or dependant.websocket_param_name
            or dependant.http_connection_param_name
            or dependant.response_param_name
            or dependant.background_tasks_param_name
            or dependant.security_scopes_param_name
            or dependant.own_oauth_scopes
        )
    )


def _is_model(field: ModelField) -> bool:
    annotation = field.field_info.annotation
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _repeatable_names(model: ModelField) -> list[str] | None:
    """Return the fields that take several query values, or None if a field takes something else than scalar values."""
    from fastapi import _compat  # noqa: PLC0415 - may be missing

    names = []
    for name, field in model.field_info.annotation.model_fields.items():  # type: ignore[union-attr]  # a model
        if _compat.field_annotation_is_scalar_sequence(field.annotation):
            names.append(name)
        elif not _compat.field_annotation_is_scalar(field.annotation):
            return None
    return names
