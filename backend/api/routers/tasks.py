"""The routes of a user's tasks."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response

from backend.platform.http.canonical_int import CANONICAL_INT
from backend.platform.http.dependencies import (
    IdempotencyKeyDep,
    OwnerDep,
    PreconditionDep,
    service,
)
from backend.platform.http.json_body import json_body
from backend.platform.http.openapi import (
    ETAG,
    IDEMPOTENCY_KEY,
    NEXT_LINK,
    preconditions,
    problem_responses,
    request_body,
    request_headers,
    response_headers,
)
from backend.platform.http.path_convertors import register_segment_except
from backend.platform.http.resources import resource_router
from backend.platform.http.responses import (
    created_response,
    entity_response,
    not_modified_response,
    page_response,
)
from backend.schemas.task import TaskCreate, TaskResponse, TaskUpdate
from backend.schemas.task_page import TaskPage, TaskQuery
from backend.services.task_service import TaskService

__all__ = ["router"]

router = resource_router("tasks")
register_segment_except("task_id", "batch", "calendar.ics")

TaskIdPath = Annotated[int, Path(ge=1, le=2**63 - 1, description="The task's number."), CANONICAL_INT]
TaskServiceDep = Annotated[TaskService, Depends(service("task_service"))]
TaskCreateDep = Annotated[TaskCreate, Depends(json_body(TaskCreate))]
TaskUpdateDep = Annotated[TaskUpdate, Depends(json_body(TaskUpdate))]

_HEADERS = request_headers(*preconditions("task"))
_CHANGE = request_body(TaskUpdate, {"title": "Buy oat milk"}) | _HEADERS
_WRITE = problem_responses("task", 404, 409, 412)
_CHANGED = response_headers(200, ETAG) | problem_responses("task", 404, 408, 409, 412, 413, 415)


@router.get(
    "", response_model=TaskPage, responses=response_headers(200, NEXT_LINK) | problem_responses("task")
)
async def list_tasks(
    *, owner: OwnerDep, service: TaskServiceDep, query: Annotated[TaskQuery, Query()], request: Request
) -> Response:
    """List tasks, newest first; follow `next_cursor` (or the `Link` header) to the next page."""
    return page_response(request, await service.list(owner, query))


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=TaskResponse,
    responses=response_headers(201, {"Location": "The new task's path.", **ETAG})
    | problem_responses("task", 408, 409, 413, 415),
    openapi_extra=request_body(TaskCreate, {"title": "Buy milk", "description": "Two litres, oat"})
    | request_headers(IDEMPOTENCY_KEY),
)
async def create_task(
    *,
    owner: OwnerDep,
    service: TaskServiceDep,
    idempotency_key: IdempotencyKeyDep,
    new: TaskCreateDep,
    request: Request,
) -> Response:
    """Create a task. With an `Idempotency-Key`, a repeated request does not create a second task."""
    stored = await service.create(owner, new, idempotency_key)
    return created_response(request, stored.task, stored.version)


@router.get(
    "/{task_id:task_id}",
    response_model=TaskResponse,
    responses=response_headers(200, ETAG)
    | response_headers(304, ETAG, "The task is at a version that `If-None-Match` names.")
    | problem_responses("task", 404, 412),
    openapi_extra=_HEADERS,
)
async def get_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Get one task."""
    stored = await service.get(owner, task_id, precondition)
    if precondition.excludes(stored.version):
        return not_modified_response(stored.version)
    return entity_response(stored.task, stored.version)


@router.put(
    "/{task_id:task_id}",
    name="replace_task",
    response_model=TaskResponse,
    responses=_CHANGED,
    openapi_extra=_CHANGE,
)
@router.patch("/{task_id:task_id}", response_model=TaskResponse, responses=_CHANGED, openapi_extra=_CHANGE)
async def update_task(
    *,
    owner: OwnerDep,
    service: TaskServiceDep,
    task_id: TaskIdPath,
    precondition: PreconditionDep,
    change: TaskUpdateDep,
) -> Response:
    """Change the fields of a task that the body contains.

    PUT behaves like PATCH, because frontends of this family send a partial PUT.
    """
    stored = await service.update(owner, task_id, change, precondition)
    return entity_response(stored.task, stored.version)


@router.patch(
    "/{task_id:task_id}/complete",
    response_model=TaskResponse,
    responses=response_headers(200, ETAG) | _WRITE,
    openapi_extra=_HEADERS,
)
async def complete_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Flip `completed`: a pending task is completed, a completed one is pending again."""
    stored = await service.toggle_completed(owner, task_id, precondition)
    return entity_response(stored.task, stored.version)


@router.delete(
    "/{task_id:task_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_model=None,
    responses=_WRITE,
    openapi_extra=_HEADERS,
)
async def delete_task(
    *, owner: OwnerDep, service: TaskServiceDep, task_id: TaskIdPath, precondition: PreconditionDep
) -> Response:
    """Delete a task."""
    await service.delete(owner, task_id, precondition)
    return Response(status_code=HTTPStatus.NO_CONTENT)
