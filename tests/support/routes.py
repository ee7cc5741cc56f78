"""The routes of an application, as it has them: no test needs a list that a new route is missing from."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

__all__ = ["Endpoint", "dependencies", "endpoints", "example_path"]

MOUNTED_FILE = "/swagger-ui.css"


class Endpoint(NamedTuple):
    """A method of a path, and the route that answers it."""

    method: str
    path: str
    """The template, such as `/api/{user_id}/tasks`."""

    route: Any


def endpoints(app: FastAPI) -> Iterator[Endpoint]:
    """Yield each method of each route but HEAD, which no route of FastAPI declares; of a mount, one file."""
    for context in iter_route_contexts(app.routes):
        assert context.path is not None, context
        assert context.path_format is not None, context
        if isinstance(context.original_route, Mount):
            yield Endpoint("GET", context.path + MOUNTED_FILE, context.original_route)
        else:
            for method in sorted((context.methods or set()) - {"HEAD"}):
                yield Endpoint(method, context.path_format, context)


def dependencies(dependant: Dependant) -> Iterator[Any]:
    """Yield each function on which a route depends, directly or not."""
    for child in dependant.dependencies:
        yield child.call
        yield from dependencies(child)


def example_path(template: str, user_id: str, number: int = 1) -> str:
    """Return the path of a user's resource: every parameter but `user_id` gets the number."""
    return re.sub(r"\{\w+\}", str(number), template.replace("{user_id}", user_id))
