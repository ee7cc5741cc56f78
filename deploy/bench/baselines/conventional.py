# ruff: noqa: FAST003 - dependencies use the path parameters
"""Baseline: the same API in a conventional way: ORM objects in an AsyncSession, response models, BaseHTTPMiddleware."""

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from jose import JWTError, jwt
from prometheus_client import Counter, Histogram
from sqlalchemy import func, or_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import col, select
from starlette.middleware.base import BaseHTTPMiddleware

from backend.models import user  # noqa: F401 - tasks have a foreign key to it
from backend.models.task import Task
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskCreate, TaskResponse, TaskUpdate
from backend.schemas.task_page import TaskPage

__all__ = ["app"]

_SECRET = os.environ["BETTER_AUTH_SECRET"]
_ARGUMENTS = {"dsn": os.environ["DATABASE_URL"]}
_REQUESTS = Counter("conventional_requests", "Requests", ["method", "route", "status"])
_SECONDS = Histogram("conventional_request_seconds", "Duration", ["method", "route"])

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
_log = logging.getLogger("conventional")
_engine = create_async_engine("postgresql+asyncpg://", connect_args=_ARGUMENTS, pool_size=20, max_overflow=20)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)

app = FastAPI()

type Next = Callable[[Request], Awaitable[Response]]


async def authenticate(request: Request, call_next: Next) -> Response:
    """Decode the token of every request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        # The credential of another scheme is replaced by an empty token, which is invalid.
        token = token if scheme.lower() == "bearer" else ""
        request.state.user_id = jwt.decode(token, _SECRET, algorithms=["HS256"])["sub"]
    except (JWTError, KeyError):
        return JSONResponse({"detail": "Not authenticated"}, 401, {"WWW-Authenticate": "Bearer"})
    return await call_next(request)


async def measure(request: Request, call_next: Next) -> Response:
    """Count, time and log every request."""
    started = time.perf_counter()
    response = await call_next(request)
    seconds = time.perf_counter() - started
    route = getattr(request.scope.get("route"), "path", "none")
    _REQUESTS.labels(request.method, route, str(response.status_code)).inc()
    _SECONDS.labels(request.method, route).observe(seconds)
    _log.info("%s %s %s %.2f ms", request.method, route, response.status_code, seconds * 1000)
    return response


app.add_middleware(BaseHTTPMiddleware, dispatch=authenticate)
app.add_middleware(BaseHTTPMiddleware, dispatch=measure)


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for the duration of the request."""
    async with _sessions() as opened:
        yield opened


SessionDep = Annotated[AsyncSession, Depends(session)]


def owner(user_id: str, request: Request) -> str:
    """Return the user in the path. It must be the caller."""
    if request.state.user_id != user_id:
        raise HTTPException(403, "Not your tasks")
    return user_id


OwnerDep = Annotated[str, Depends(owner)]


async def task_of(user_id: OwnerDep, task_id: int, database: SessionDep) -> Task:
    """Return a task of the caller."""
    found = await database.execute(select(Task).where(Task.id == task_id, Task.user_id == user_id))
    task = found.scalar_one_or_none()
    if task is None:
        raise HTTPException(404, "No such task")
    return task


TaskDep = Annotated[Task, Depends(task_of)]


@app.get("/api/{user_id}/tasks", response_model=TaskPage)
async def list_tasks(
    user_id: OwnerDep,
    database: SessionDep,
    search: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> object:
    """Return the newest tasks."""
    query = select(Task).where(Task.user_id == user_id)
    if search:
        query = query.where(
            or_(
                col(Task.title).icontains(search, autoescape=True),
                col(Task.description).icontains(search, autoescape=True),
            )
        )
    newest = query.order_by(col(Task.created_at).desc(), col(Task.id).desc()).limit(limit)
    tasks = (await database.execute(newest)).scalars().all()
    return {"tasks": [_response(task) for task in tasks], "count": len(tasks), "next_cursor": None}


@app.post("/api/{user_id}/tasks", response_model=TaskResponse, status_code=201)
async def create_task(user_id: OwnerDep, new: TaskCreate, database: SessionDep) -> object:
    """Write a task."""
    task = Task(user_id=user_id, **_columns(new.model_dump()))
    database.add(task)
    await database.commit()
    await database.refresh(task)
    return _response(task)


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def get_task(task: TaskDep) -> object:
    """Return one task."""
    return _response(task)


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def update_task(task: TaskDep, change: TaskUpdate, database: SessionDep) -> object:
    """Change a task."""
    for name, value in _columns(change.model_dump(exclude_unset=True)).items():
        setattr(task, name, value)
    return await _saved(task, database)


@app.patch("/api/{user_id}/tasks/{task_id}/complete", response_model=TaskResponse)
async def complete_task(task: TaskDep, database: SessionDep) -> object:
    """Flip `completed`."""
    task.completed = not task.completed
    return await _saved(task, database)


async def _saved(task: Task, database: AsyncSession) -> object:
    # The database computes these columns. `setattr`, because the model types do not allow SQL expressions.
    for name, value in {"updated_at": func.now(), "version": Task.version + 1}.items():
        setattr(task, name, value)
    await database.commit()
    await database.refresh(task)
    return _response(task)


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of the given fields."""
    columns = dict(fields)
    if "due" in columns:
        due = columns.pop("due")
        is_instant = isinstance(due, datetime)
        columns |= {"due_date": None if is_instant else due, "due_at": due if is_instant else None}
    if "priority" in columns:
        columns["priority"] = PRIORITIES.index(columns["priority"]) or None
    if "tags" in columns:
        columns["tags"] = columns["tags"] or None
    return columns


def _response(task: Task) -> dict[str, Any]:
    """Return the fields of the response model."""
    return task.model_dump() | {
        "priority": PRIORITIES[task.priority or 0],
        "due": task.due_date or task.due_at,
        "tags": task.tags or [],
    }
