"""The router of a resource of a user."""

from fastapi import APIRouter

from backend.platform.http.openapi_document import operation_id

__all__ = ["resource_router"]


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
        generate_unique_id_function=operation_id,
    )
