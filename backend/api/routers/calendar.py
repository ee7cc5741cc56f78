"""The route of a user's tasks as a calendar."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Response

from backend.platform.errors import PreconditionFailed
from backend.platform.http.conditional_requests import etag
from backend.platform.http.dependencies import OwnerDep, PreconditionDep, service
from backend.platform.http.openapi import (
    ETAG,
    preconditions,
    problem_responses,
    request_headers,
    response_headers,
)
from backend.platform.http.resources import resource_router
from backend.platform.http.responses import not_modified_response
from backend.services.calendar import MEDIA_TYPE, calendar_version, encode_calendar
from backend.services.task_service import TaskService

__all__ = ["router"]

router = resource_router("tasks")


@router.get(
    "/calendar.ics",
    response_class=Response,
    responses={200: {"content": {"text/calendar": {"schema": {"type": "string"}}}}}
    | response_headers(304, ETAG, "The calendar is at a version that `If-None-Match` names.")
    | problem_responses("task", 404, 412),
    openapi_extra=request_headers(*preconditions("calendar")),
)
async def get_calendar(
    *,
    owner: OwnerDep,
    service: Annotated[TaskService, Depends(service("task_service"))],
    precondition: PreconditionDep,
) -> Response:
    """Get up to 1,000 tasks with a due date as VTODO (RFC 5545): pending ones, earliest first, then completed ones."""
    tasks = await service.due_tasks(owner)
    version = calendar_version(tasks)
    if precondition.fails_if_match(version):
        raise PreconditionFailed("The calendar is not at the version you asked for.")
    if precondition.excludes(version):
        return not_modified_response(version)
    # In a thread, because it takes some 0.1 s for 1,000 tasks.
    body = await asyncio.to_thread(encode_calendar, tasks)
    return Response(body, HTTPStatus.OK, {"ETag": etag(version)}, media_type=MEDIA_TYPE)
