"""Our routes, service and data layer alone: no middleware, so no tokens, access log, metrics of requests or spans."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from backend.api import problems
from backend.api.dependencies import owner
from backend.api.routers import tasks
from backend.auth.principal import Principal
from backend.config import load_settings
from backend.db.pool import Database
from backend.db.task_repository import TaskRepository
from backend.services.task_service import TaskService

__all__ = ["app"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the pool."""
    database = Database(load_settings())
    await database.start()
    app.state.task_service = TaskService(TaskRepository(database))
    yield
    await database.stop()


async def anyone(user_id: str, request: Request) -> Principal:
    """Believe the path."""
    del request
    return Principal(user_id)


app = FastAPI(lifespan=lifespan)
app.include_router(tasks.router)
app.dependency_overrides[owner] = anyone
problems.install(app)
