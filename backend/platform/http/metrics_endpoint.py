"""`/metrics`: the metrics of all workers for Prometheus."""

import asyncio

from fastapi import APIRouter, Request, Response

from backend.platform.observability.exposition import render_metrics

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the metrics, in the OpenMetrics format if the scraper accepts it."""
    # In a thread: aggregating many workers takes milliseconds and must not block the event loop.
    body, content_type = await asyncio.to_thread(render_metrics, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})
