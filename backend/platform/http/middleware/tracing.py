"""Creates a span for each request that continues the client's trace (W3C Trace Context)."""

from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.http.middleware.request_metrics import EXCLUDED_ROUTES
from backend.platform.http.request_headers import header_values
from backend.platform.http.route_path import get_route_path
from backend.platform.observability.tracing import request_tracer, start_request_span

__all__ = ["TraceMiddleware"]

_PROPAGATOR = TraceContextTextMapPropagator()
_NO_PARENT = context.Context()
_SERVER_ERROR = 500


class TraceMiddleware:
    """Creates the server span of OpenTelemetry's HTTP conventions, and adds its trace id to the request's state.

    Unlike the conventions, it omits `url.query`, because the query contains search texts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        tracer = request_tracer()
        if tracer is None or scope["type"] != "http" or get_route_path(scope) in EXCLUDED_ROUTES:
            await self._app(scope, receive, send)
            return
        trace_id, span = start_request_span(tracer, scope["method"], _parent(scope))
        state = scope.setdefault("state", {})
        state["trace_id"] = trace.format_trace_id(trace_id)
        state["is_sampled"] = span is not None
        if span is not None:
            span.set_attributes(_attributes(scope))
            await self._record(span, scope, receive, send)
        else:  # neither the span nor its children are recorded
            await self._app(scope, receive, send)

    async def _record(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def send_and_track_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = context.attach(trace.set_span_in_context(span))
        error: str | None = None
        try:
            await self._app(scope, receive, send_and_track_status)
        except BaseException as exception:
            error = type(exception).__qualname__
            raise
        finally:
            context.detach(token)
            _finish(span, scope, status, error)
            span.end()


def _parent(scope: Scope) -> context.Context:
    """Return the context of the client's trace, empty if it sends none."""
    traceparent = header_values(scope, b"traceparent")
    if not traceparent:
        return _NO_PARENT
    return _PROPAGATOR.extract(
        {"traceparent": traceparent, "tracestate": header_values(scope, b"tracestate")}, _NO_PARENT
    )


def _attributes(scope: Scope) -> Mapping[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if scope.get("server"):
        attributes["server.address"], attributes["server.port"] = scope["server"]
    if scope.get("client"):
        attributes["client.address"] = scope["client"][0]
    return attributes


def _finish(span: Span, scope: Scope, status: int, error: str | None) -> None:
    route: str | None = getattr(scope.get("route"), "path_format", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    # By the conventions, a 4xx is not an error of a server span.
    if error is not None or status >= _SERVER_ERROR:
        span.set_attribute("error.type", error or str(status))
        span.set_status(Status(StatusCode.ERROR))
