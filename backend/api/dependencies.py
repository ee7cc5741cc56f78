"""The wiring of one request: who owns the path, which service answers, what the client sent."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import BaseModel, ValidationError

from backend.errors import PathUserMismatch
from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidInput, InvalidValue
from backend.platform.http.canonical_int import CANONICAL_INT
from backend.platform.http.conditional_requests import parse_preconditions
from backend.platform.http.problem_details import HttpError, validation_error
from backend.schemas.task import TaskCreate, TaskUpdate
from backend.services.task_service import TaskService

__all__ = [
    "IdempotencyKeyDep",
    "OwnerDep",
    "PreconditionDep",
    "TaskCreateDep",
    "TaskIdPath",
    "TaskServiceDep",
    "TaskUpdateDep",
]

_IDEMPOTENCY_KEY = re.compile(r'"([!#-~]{1,255})"|([!#-~]{1,255})')

TaskIdPath = Annotated[int, Path(ge=1, le=2**63 - 1, description="The task's number."), CANONICAL_INT]


async def owner(
    user_id: Annotated[str, Path(description="The user whose tasks these are: the token's `sub`.")],
    request: Request,
) -> Principal:
    """Return the caller, who must be the user in the path; nothing is read from the database before."""
    principal: Principal = request.state.principal
    if principal.user_id != user_id:
        raise PathUserMismatch("The path names another user than your token does.")
    return principal


OwnerDep = Annotated[Principal, Depends(owner)]


async def task_service(request: Request) -> TaskService:
    """Return the worker's task service, after the failure or delay that the operator asked for."""
    state = request.scope["app"].state
    if state.inject_fault is not None:
        await state.inject_fault()
    service: TaskService = state.task_service
    return service


async def read_precondition(request: Request) -> Precondition:
    """Return what `If-Match` and `If-None-Match` ask."""
    return parse_preconditions(request.headers)


async def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, with or without the quotes of a structured string (RFC 8941 §3.3.3)."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    found = _IDEMPOTENCY_KEY.fullmatch(keys[0].strip())
    if len(keys) > 1 or found is None:
        raise InvalidInput(
            InvalidValue(
                "/header/idempotency-key",
                "must be one text of 1 to 255 printable ASCII characters, without spaces and quotes",
            )
        )
    return found[1] or found[2]


# The body is read here, and not by FastAPI, so that a foreign path is 403 before it and each kind
# of bad body gets its own answer; the owner comes first because these depend on it.
async def task_create(request: Request, _owner: OwnerDep) -> TaskCreate:
    """Return the new task in the body."""
    return await _read(request, TaskCreate)


async def task_update(request: Request, _owner: OwnerDep) -> TaskUpdate:
    """Return the changes in the body, at least one."""
    change = await _read(request, TaskUpdate)
    if not change.model_fields_set:
        raise InvalidInput(InvalidValue("/body", "must have at least one of title, description, completed"))
    return change


async def _read[Model: BaseModel](request: Request, model: type[Model]) -> Model:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"application/json", "application/merge-patch+json"}:
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON: Content-Type: application/json."
        )
    body = await request.body()
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise validation_error(error.errors(include_url=False, include_input=False), "/body") from None


IdempotencyKeyDep = Annotated[str | None, Depends(idempotency_key)]
PreconditionDep = Annotated[Precondition, Depends(read_precondition)]
TaskCreateDep = Annotated[TaskCreate, Depends(task_create)]
TaskServiceDep = Annotated[TaskService, Depends(task_service)]
TaskUpdateDep = Annotated[TaskUpdate, Depends(task_update)]
