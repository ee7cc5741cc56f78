"""The routes on several of a user's tasks at once."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.platform.http.conditional_requests import etag
from backend.platform.http.dependencies import IdempotencyKeyDep, OwnerDep, service
from backend.platform.http.json_body import json_body
from backend.platform.http.openapi import IDEMPOTENCY_KEY, problem_responses, request_body, request_headers
from backend.platform.http.resources import resource_router
from backend.platform.http.responses import json_response
from backend.schemas.task_batch import ClearedTasks, CreateOperation, TagList, TaskBatch, TaskBatchResponse
from backend.services.task_batch_service import BatchOutcome, TaskBatchService

__all__ = ["router", "tags_router"]

router = resource_router("tasks")
tags_router = resource_router("tags")

TaskBatchServiceDep = Annotated[TaskBatchService, Depends(service("task_batch_service"))]
TaskBatchDep = Annotated[TaskBatch, Depends(json_body(TaskBatch))]

_EXAMPLE = {
    "operations": [
        {"operation": "create", "task": {"title": "Buy milk"}},
        {"operation": "update", "id": 42, "task": {"completed": True}, "if_match": '"v1"'},
        {"operation": "delete", "id": 43},
    ]
}


class ClearQuery(BaseModel):
    """The query parameters of a deletion. Required, so that no request deletes tasks by accident."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["completed"] = Field(description="Which tasks to delete.")


@router.post(
    "/batch",
    response_model=TaskBatchResponse,
    responses=problem_responses("task", 404, 408, 409, 412, 413, 415),
    openapi_extra=request_body(TaskBatch, _EXAMPLE) | request_headers(IDEMPOTENCY_KEY),
)
async def batch_tasks(
    *, owner: OwnerDep, service: TaskBatchServiceDep, idempotency_key: IdempotencyKeyDep, batch: TaskBatchDep
) -> Response:
    """Create, update and delete up to 100 tasks in one transaction: all or none.

    The first operation that fails determines the status, and `errors` points to it.
    """
    outcome = await service.run(owner, batch, idempotency_key)
    return json_response({"results": list(_results(batch, outcome))})


@router.delete("", response_model=ClearedTasks, responses=problem_responses("task", 409))
async def clear_completed_tasks(
    *, owner: OwnerDep, service: TaskBatchServiceDep, query: Annotated[ClearQuery, Query()]
) -> Response:
    """Delete completed tasks, up to 1,000 per request; repeat it while `more` is true."""
    del query
    deleted, more = await service.delete_completed(owner)
    return json_response({"deleted": deleted, "more": more})


@tags_router.get("", response_model=TagList, responses=problem_responses("tag"))
async def list_tags(*, owner: OwnerDep, service: TaskBatchServiceDep) -> Response:
    """List up to 1,000 tags of the 10,000 newest tasks, most used first."""
    return json_response({"tags": await service.tags(owner)})


def _results(batch: TaskBatch, outcome: BatchOutcome) -> Iterator[dict[str, Any]]:
    for operation, stored in zip(batch.operations, outcome.tasks, strict=True):
        if stored is None:
            yield {"status": 204}
        else:
            status = 201 if isinstance(operation, CreateOperation) else 200
            yield {"status": status, "etag": etag(stored.version), "task": stored.task}
