"""`/metrics`: what Prometheus scrapes, of all workers together."""

import asyncio

from fastapi import APIRouter, Request, Response

from backend.platform.observability.exposition import render_metrics

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the metrics, in OpenMetrics where the scraper knows it."""
    # In a thread: the sums of many workers take milliseconds that requests should not wait for.
    body, content_type = await asyncio.to_thread(render_metrics, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})
