"""Part of the accelerator `fast_route`: the calls that a route's signature needs, from FastAPI's analysis of it.

Uses these internals of FastAPI: `fastapi.dependencies.models.Dependant`, and `fastapi._compat.ModelField.validate` and
`field_annotation_is_scalar[_sequence]`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant

__all__ = ["DependencyCall", "flatten_dependencies", "repeatable_names"]


@dataclass(frozen=True, slots=True)
class DependencyCall:
    """A call of a dependency or of the endpoint, and the sources of its arguments.

    `results` contains the name of each argument that is the result of an earlier call, and the index of that call.
    `path_params` contains the name of each argument that is a path parameter, its alias, and its validator, which a plain
    `str` does not need.
    """

    function: Callable[..., Any]
    results: list[tuple[str, int]]
    path_params: list[tuple[str, str, Callable[..., Any] | None]]
    query_param: ModelField | None
    request_name: str | None


def flatten_dependencies(calls: list[DependencyCall], dependant: Dependant) -> bool:
    """Append the calls of a dependency tree, dependencies first, each once. Return False if one is unsupported."""
    if not _is_supported(dependant):
        return False
    results = []
    for each in dependant.dependencies:
        if not flatten_dependencies(calls, each):
            return False
        if each.name is not None:
            results.append((each.name, next(i for i, call in enumerate(calls) if call.function is each.call)))
    if dependant.call is not None and all(call.function is not dependant.call for call in calls):
        query_param = next(iter(dependant.query_params), None)
        path_params = [
            (field.name, field.alias, None if _is_plain_text(field) else field.validate)
            for field in dependant.path_params
        ]
        call = DependencyCall(dependant.call, results, path_params, query_param, dependant.request_param_name)
        calls.append(call)
    return True


def _is_supported(dependant: Dependant) -> bool:
    return (
        inspect.iscoroutinefunction(dependant.call)
        and dependant.use_cache
        and not any(_is_model(field) for field in dependant.path_params)
        and len(dependant.query_params) <= 1
        and all(_is_model(each) and repeatable_names(each) is not None for each in dependant.query_params)
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


def _is_plain_text(field: ModelField) -> bool:
    return field.field_info.annotation is str and not field.field_info.metadata


def _is_model(field: ModelField) -> bool:
    annotation = field.field_info.annotation
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def repeatable_names(model: ModelField) -> list[str] | None:
    """Return the fields that take several query values, or None if a field takes something else than scalar values."""
    from fastapi import _compat  # noqa: PLC0415 - may be missing

    names = []
    for name, field in model.field_info.annotation.model_fields.items():  # type: ignore[union-attr]  # a model
        if _compat.field_annotation_is_scalar_sequence(field.annotation):
            names.append(name)
        elif not _compat.field_annotation_is_scalar(field.annotation):
            return None
    return names
