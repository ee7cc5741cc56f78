"""The routes of a user's tasks; what they declare for OpenAPI is completed in `api/openapi.py`."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Query, Request, Response

from backend.api.dependencies import (
    IdempotencyKeyDep,
    OwnerDep,
    PreconditionDep,
    TaskCreateDep,
    TaskIdPath,
    TaskServiceDep,
    TaskUpdateDep,
)
from backend.api.openapi import operation_id
from backend.platform.http.conditional_requests import etag
from backend.platform.http.fast_route import FastRoute
from backend.schemas.task import TaskResponse, VersionedTask
from backend.schemas.task_page import TaskPage, TaskQuery

__all__ = ["router"]

# The whole prefix stands here: one given at include time is missing from the route template
# that metrics and traces read.
router = APIRouter(
    prefix="/api/{user_id}/tasks",
    tags=["tasks"],
    route_class=FastRoute,
    generate_unique_id_function=operation_id,
)


@router.get("", response_model=TaskPage)
async def list_tasks(
    *, owner: OwnerDep, service: TaskServiceDep, query: Annotated[TaskQuery, Query()], request: Request
) -> Response:
    """List tasks, newest first; follow `next_cursor` (or the `Link` header) to the next page."""
    page = await service.list(owner, query)
    headers = {}
    if page.next_cursor is not None:
        parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        following = urlencode([*parameters, ("cursor", page.next_cursor)])
        headers["Link"] = f'<?{following}>; rel="next"'
    return _json(page, headers=headers)


@router.post("", status_code=HTTPStatus.CREATED, response_model=TaskResponse)
async def create_task(
    *,
    owner: OwnerDep,
    service: TaskServiceDep,
    idempotency_key: IdempotencyKeyDep,
    new: TaskCreateDep,
    request: Request,
) -> Response:
    """Create a task. With an `Idempotency-Key` a repeated request makes no second one."""
    stored = await service.create(owner, new, idempotency_key)
    location = {"Location": f"{quote(request.scope['path'])}/{stored.task.id}"}
    return _task(stored, HTTPStatus.CREATED, location)


@router.get("/{task_id}", response_model=TaskResponse)
async def get_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Get one task."""
    stored = await service.get(owner, task_id, precondition)
    if precondition.excludes(stored.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(stored.version)})
    return _task(stored)


@router.put("/{task_id}", name="replace_task", response_model=TaskResponse)
@router.patch("/{task_id}", response_model=TaskResponse)
async def update_task(
    *,
    owner: OwnerDep,
    service: TaskServiceDep,
    task_id: TaskIdPath,
    precondition: PreconditionDep,
    change: TaskUpdateDep,
) -> Response:
    """Change the fields of a task that the body has.

    PUT is the same as PATCH, since frontends of this family send a partial PUT.
    """
    return _task(await service.update(owner, task_id, change, precondition))


@router.patch("/{task_id}/complete", response_model=TaskResponse)
async def complete_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Flip `completed`: a pending task is completed, a completed one is pending again."""
    return _task(await service.complete(owner, task_id, precondition))


@router.delete("/{task_id}", status_code=HTTPStatus.NO_CONTENT, response_model=None)
async def delete_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Delete a task."""
    await service.delete(owner, task_id, precondition)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _task(
    stored: VersionedTask, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return _json(stored.task, status, {"ETag": etag(stored.version)} | (headers or {}))


def _json(answer: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    # A Response of our own: FastAPI would validate and dump what the database has just given.
    return Response(msgspec.json.encode(answer), status, headers, media_type="application/json")
