"""The router of a resource that belongs to a user."""

from fastapi import APIRouter

from backend.platform.http.openapi_document import operation_id

__all__ = ["resource_router"]


def resource_router(name: str) -> APIRouter:
    """Return a router for `/api/{user_id}/<name>`.

    Each of its routes must have a parameter `OwnerDep`; tests/architecture checks this.

    Args:
        name: Name of the collection, such as `tasks`.
    """
    # The router has the whole prefix, because the route template in metrics and traces lacks a prefix of
    # `include_router`.
    return APIRouter(
        prefix=f"/api/{{user_id}}/{name}",
        tags=[name],
        generate_unique_id_function=operation_id,
    )
