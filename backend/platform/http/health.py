"""Probes: `/health` for the public, `/livez` and `/readyz` for the platform."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from backend.platform.http.readiness import Readiness

__all__ = ["probes", "public"]

public = APIRouter(include_in_schema=False)
probes = APIRouter(include_in_schema=False)


@public.get("/health")
@probes.get("/livez")
async def alive() -> Response:
    """Say that the process answers; touches nothing else, so that no outage elsewhere restarts it."""
    return JSONResponse({"status": "ok"})


@probes.get("/readyz")
async def ready(request: Request) -> Response:
    """Say whether requests should come here, and why not."""
    readiness: Readiness = request.app.state.readiness
    reason = await readiness.not_ready_reason()
    if reason is None:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not ready", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
