"""Tracing: spans of requests, services and statements, exported by OTLP. It is off without an endpoint."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from threading import Thread

from backend.platform.observability.otel_variables import (
    IGNORED_AT_IMPORT,
    discard_invalid_variables,
    is_tracing_configured,
)

# isort: split
import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from backend.platform.service_name import SERVICE_NAME
from backend.platform.settings.server import ServerSettings

__all__ = [
    "configure_tracing",
    "install_tracer_provider",
    "request_tracer",
    "service_span",
    "start_request_span",
    "statement_span",
]

_FLUSH_SECONDS = 3.0
_NO_SPAN = nullcontext()
_log = structlog.get_logger()

_tracer: Tracer | None = None


def configure_tracing(settings: ServerSettings) -> Callable[[], None]:
    """Start tracing if the environment has an endpoint of a collector (OTEL_EXPORTER_OTLP_ENDPOINT).

    Call it in the process that serves, never before a fork: the exporter's thread and
    locks do not survive a fork. The standard `OTEL_*` variables set sampler, headers, timeouts
    and batch sizes. An invalid variable is logged, and its default applies.

    Args:
        settings: The settings, with the deployment environment.

    Returns:
        A function that stops tracing. It blocks for up to 3 s to export the remaining spans.
    """
    for variable, reason in (*IGNORED_AT_IMPORT, *discard_invalid_variables()):
        _log.warning("OpenTelemetry variable is ignored", variable=variable, reason=reason)
    if is_tracing_configured():
        try:
            return install_tracer_provider(settings, OTLPSpanExporter())
        except Exception as error:  # noqa: BLE001 - tracing must never stop the service
            _log.warning("tracing is off: the SDK does not start", reason=type(error).__name__)
    return lambda: None


def install_tracer_provider(settings: ServerSettings, exporter: SpanExporter) -> Callable[[], None]:
    """Start tracing to an exporter; see `configure_tracing`."""
    global _tracer  # noqa: PLW0603 - one per process, like the metrics
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME,
            "service.version": version(SERVICE_NAME),
            "deployment.environment.name": settings.environment,
        }
    )
    # The exit handler of the provider would wait for an unreachable collector a second time.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(exporter)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("backend", version(SERVICE_NAME))
    _tracer = tracer if isinstance(tracer, Tracer) else None  # not a Tracer if the SDK is disabled

    def shutdown() -> None:
        global _tracer  # noqa: PLW0603 - see above
        _tracer = None
        # The processor would wait 30 s for a collector that does not respond.
        flush = Thread(target=processor.shutdown, name="flush-spans", daemon=True)
        flush.start()
        flush.join(_FLUSH_SECONDS)
        exporter.shutdown()

    return shutdown


def request_tracer() -> Tracer | None:
    """Return the tracer for requests, or None while tracing is off."""
    return _tracer


def start_request_span(tracer: Tracer, name: str, parent: Context) -> tuple[int, Span | None]:
    """Start the span of a request.

    Args:
        tracer: The result of `request_tracer`.
        name: Name of the span.
        parent: The context of the client's trace, empty if it sent none.

    Returns:
        The trace id, and the span, or None if it is not recorded.
    """
    span = tracer.start_span(name, parent, SpanKind.SERVER, record_exception=False)
    return span.get_span_context().trace_id, span if span.is_recording() else None


def statement_span(name: str, sql: str) -> AbstractContextManager[object]:
    """Return a context manager that creates a span for a statement, if the request is sampled.

    Args:
        name: Name of the statement, such as `select tasks`.
        sql: Its SQL with placeholders, without values.
    """
    if _tracer is None or not trace.get_current_span().is_recording():
        return _NO_SPAN
    return _span(
        _tracer,
        name,
        SpanKind.CLIENT,
        {
            "db.system.name": "postgresql",
            "db.query.summary": name,
            "db.query.text": sql,
            "db.operation.name": name.split(" ", 1)[0],
        },
    )


def service_span(name: str) -> AbstractContextManager[object]:
    """Return a context manager that creates a span for a service function, if the request is sampled."""
    if _tracer is None or not trace.get_current_span().is_recording():
        return _NO_SPAN
    return _span(_tracer, name, SpanKind.INTERNAL, {})


@contextmanager
def _span(tracer: Tracer, name: str, kind: SpanKind, attributes: dict[str, str]) -> Iterator[None]:
    # The SDK would copy the message of the exception into the span, and it contains values of the statement.
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", getattr(error, "sqlstate", None) or type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
