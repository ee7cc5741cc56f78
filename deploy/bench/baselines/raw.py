"""Baseline: handlers that run the service's SQL on an asyncpg pool, without layers, tokens, metrics, log and traces."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
from fastapi import FastAPI, Response

from backend.db.task_fields import task_row, task_rows
from backend.db.task_list_statements import select_page
from backend.db.task_statements import GET
from backend.services.task_service import TaskPageRecord

__all__ = ["app"]

_LIST = select_page("created_at", "desc", frozenset()).sql
_PAGE = 50


async def _no_reset(_connection: object) -> None: ...


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool while the application runs."""
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=10, max_size=30, reset=_no_reset
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/api/{user_id}/tasks")
async def list_tasks(user_id: str) -> Response:
    """Return the newest tasks."""
    rows = await app.state.pool.fetch(_LIST, user_id, _PAGE + 1)
    tasks = task_rows(rows[:_PAGE])
    return _json(TaskPageRecord(tasks, len(tasks), None))


@app.get("/api/{user_id}/tasks/{task_id}")
async def get_task(user_id: str, task_id: int) -> Response:
    """Return one task."""
    rows = await app.state.pool.fetch(GET.sql, user_id, task_id)
    return _json(task_row(rows[0]))


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
