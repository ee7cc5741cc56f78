"""Covers a request with a span that joins the caller's trace (W3C Trace Context)."""

from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.middleware.measure import UNMEASURED_ROUTES
from backend.observability.tracing import request_tracer

__all__ = ["TraceMiddleware"]

_PROPAGATOR = TraceContextTextMapPropagator()
_PROPAGATED = (b"traceparent", b"tracestate")
_SERVER_ERROR = 500


class TraceMiddleware:
    """Makes the server span, by OpenTelemetry's HTTP conventions, and leaves its trace's id in the state.

    The query is left out, against the conventions: it holds what people search for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        tracer = request_tracer()
        if tracer is None or scope["type"] != "http" or scope["path"] in UNMEASURED_ROUTES:
            await self._app(scope, receive, send)
            return
        span = _start(tracer, scope)
        identity = span.get_span_context()
        state = scope.setdefault("state", {})
        state["trace_id"] = trace.format_trace_id(identity.trace_id)
        state["is_sampled"] = identity.trace_flags.sampled
        if span.is_recording():
            await self._record(span, scope, receive, send)
        else:  # nobody would ever see what is made beneath it
            await self._app(scope, receive, send)

    async def _record(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = context.attach(trace.set_span_in_context(span))
        error: str | None = None
        try:
            await self._app(scope, receive, send_noting_status)
        except BaseException as exception:
            error = type(exception).__qualname__
            raise
        finally:
            context.detach(token)
            _finish(span, scope, status, error)
            span.end()


def _start(tracer: Tracer, scope: Scope) -> Span:
    given = {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _PROPAGATED
    }
    parent = _PROPAGATOR.extract(given) if given else None
    return tracer.start_span(
        scope["method"], parent, SpanKind.SERVER, _attributes(scope), record_exception=False
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
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    # The conventions: what the client did wrong is no error of the server's span.
    if error is not None or status >= _SERVER_ERROR:
        span.set_attribute("error.type", error or str(status))
        span.set_status(Status(StatusCode.ERROR))
