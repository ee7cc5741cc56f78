"""The OpenAPI document: FastAPI's, with the security scheme, problems, request bodies and common headers."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from backend.platform.http.openapi import RequestBody, header_objects
from backend.platform.http.problem_schema import Problem

__all__ = ["install", "operation_id"]

_REQUEST_ID: Final = {"X-Request-ID": "The request's id in the log."}


def operation_id(route: Any) -> str:
    """Return the name of the route, which becomes the function name in generated clients."""
    return str(route.name)


def install(app: FastAPI) -> None:
    """Make the application serve this document instead of FastAPI's."""
    app.openapi = partial(_document, app)  # type: ignore[method-assign]  # documented by FastAPI


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        models = [(model, "validation") for model in (*_body_models(app), Problem)]
        _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # a list of literals
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(definitions["$defs"])
        components["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The token of the Better Auth frontend; in development `task-service token`.",
            }
        }
        for path in document["paths"].values():
            for operation in path.values():
                operation["security"] = [{"token": []}]
                for response in operation["responses"].values():
                    response["headers"] = header_objects(_REQUEST_ID) | response.get("headers", {})
        app.openapi_schema = document
    return app.openapi_schema


def _body_models(app: FastAPI) -> Iterator[type[BaseModel]]:
    for context in iter_route_contexts(app.routes):
        body = (getattr(context.original_route, "openapi_extra", None) or {}).get("requestBody")
        if isinstance(body, RequestBody):
            yield body.model
