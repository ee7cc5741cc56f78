"""The router of a resource, and the place of these routers in the application."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI

from backend.platform.http.fast_route import FastRoute
from backend.platform.http.openapi_document import operation_id

__all__ = ["add_routers", "resource_router"]


def resource_router(name: str) -> APIRouter:
    """Return a router for `/api/{user_id}/<name>`.

    Each of its routes has a parameter `OwnerDep`; tests/architecture checks it.

    Args:
        name: Name of the collection, such as `tasks`.
    """
    # The router has the whole prefix: a prefix of `include_router` is missing from the route template that
    # metrics and traces read.
    return APIRouter(
        prefix=f"/api/{{user_id}}/{name}",
        tags=[name],
        route_class=FastRoute,
        generate_unique_id_function=operation_id,
    )


def add_routers(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Put the routes of the resources in front of all others.

    They are not included: `include_router` matches each request twice, and after the routes of the docs pages.
    """
    app.router.routes[:0] = [route for router in routers for route in router.routes]
