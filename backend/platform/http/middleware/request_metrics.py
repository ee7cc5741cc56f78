"""Measures every request once, for its metric, its exemplar and its access log line."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.observability.access_log import access_log
from backend.platform.observability.exemplars import record_exemplar
from backend.platform.observability.metrics import observe_request, requests_active

__all__ = ["EXCLUDED_ROUTES", "RequestMetricsMiddleware"]

EXCLUDED_ROUTES = frozenset({"/health", "/livez", "/readyz", "/metrics"})
"""Routes of probes and scrapes, whose frequent requests would hide those of users."""

CLIENT_CLOSED_REQUEST = 499
"""The client closed the connection before the response; nginx's status for it."""


class RequestMetricsMiddleware:
    """Counts and logs requests by route template, never by path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        status = CLIENT_CLOSED_REQUEST

        async def send_and_track_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        requests_active.inc()
        try:
            await self._app(scope, receive, send_and_track_status)
        except Exception:
            status = 500
            raise
        finally:
            requests_active.dec()
            _record(scope, status, perf_counter() - started)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route: str | None = getattr(scope.get("route"), "path_format", None)
    if route in EXCLUDED_ROUTES:
        return
    state = scope.get("state", {})
    labels = observe_request(scope["method"], route, status, seconds)
    trace_id = state.get("trace_id")
    if trace_id is not None and state["is_sampled"]:
        record_exemplar(labels, seconds, trace_id)
    principal = state.get("principal")
    access_log(
        request_id=state.get("request_id"),
        trace_id=trace_id,
        user=principal.user_id if principal is not None else None,
        route=labels[1],
        method=labels[0],
        status=status,
        duration_ms=seconds * 1000,
    )
