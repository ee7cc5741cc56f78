"""Baseline: FastAPI with the service's response models and constant data, without database, tokens and observability."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from backend.schemas.task import TaskCreate, TaskResponse, TaskUpdate
from backend.schemas.task_page import TaskPage

__all__ = ["app"]

app = FastAPI()

_NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def _task(number: int) -> dict[str, Any]:
    return dict.fromkeys(TaskResponse.model_fields) | {
        "id": number,
        "user_id": "user-1",
        "title": f"Buy milk {number}",
        "description": "Two litres of oat milk, the one in the green box, from the shop around the corner.",
        "completed": False,
        "created_at": _NOW,
        "updated_at": _NOW,
        "priority": "none",
        "tags": [],
    }


_ONE = _task(1)
_PAGE = {"tasks": [_task(number) for number in range(50)], "count": 50, "next_cursor": None}


@app.get("/api/{user_id}/tasks", response_model=TaskPage)
async def list_tasks(user_id: str, search: str | None = None) -> Any:
    """Return a constant page."""
    del user_id, search
    return _PAGE


@app.post("/api/{user_id}/tasks", response_model=TaskResponse, status_code=201)
async def create_task(user_id: str, new: TaskCreate) -> Any:
    """Validate the body, and return a constant task."""
    del user_id, new
    return _ONE


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def get_task(user_id: str, task_id: int) -> Any:
    """Return a constant task."""
    del user_id, task_id
    return _ONE


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def update_task(user_id: str, task_id: int, change: TaskUpdate) -> Any:
    """Validate the body, and return a constant task."""
    del user_id, task_id, change
    return _ONE


@app.patch("/api/{user_id}/tasks/{task_id}/complete", response_model=TaskResponse)
async def complete_task(user_id: str, task_id: int) -> Any:
    """Return a constant task."""
    del user_id, task_id
    return _ONE
