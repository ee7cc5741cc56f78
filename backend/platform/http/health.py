"""Health endpoints: `/health` for clients, `/livez` and `/readyz` for Kubernetes probes."""

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
    """Return 200 if the event loop runs. It checks no dependency, so an outage elsewhere restarts no pod."""
    return JSONResponse({"status": "ok"})


@probes.get("/readyz")
async def ready(request: Request) -> Response:
    """Return 200 if this worker should get requests, else 503 with the reason."""
    readiness: Readiness = request.app.state.readiness
    reason = await readiness.not_ready_reason()
    if reason is None:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not ready", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
