"""Spans: hierarchy, attributes, sampling, and no spans without a collector."""

from collections.abc import Iterator
from threading import Event
from typing import override

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from backend.config import Settings
from backend.platform.observability import tracing

SQL = "SELECT id FROM tasks WHERE user_id = $1"


@pytest.fixture
def settings() -> Settings:
    return Settings(better_auth_secret="x" * 32)


@pytest.fixture
def spans(settings: Settings) -> Iterator["Spans"]:
    exporter = InMemorySpanExporter()
    shutdown = tracing.install_tracer_provider(settings, exporter)
    yield Spans(exporter, shutdown)
    shutdown()


class Spans:
    """The exported spans. Reading them stops tracing."""

    def __init__(self, exporter: InMemorySpanExporter, shutdown: object) -> None:
        self._exporter = exporter
        self._shutdown = shutdown

    def finished(self) -> dict[str, ReadableSpan]:
        assert callable(self._shutdown)
        self._shutdown()
        return {span.name: span for span in self._exporter.get_finished_spans()}


def test_tracing_is_off_without_an_endpoint(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    shutdown = tracing.configure_tracing(settings)
    assert tracing.request_tracer() is None
    assert tracing.statement_span("select tasks", SQL) is tracing.service_span("list")
    shutdown()


def test_otel_sdk_disabled_turns_tracing_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracing.configure_tracing(settings)
    assert tracing.request_tracer() is None


def test_statements_and_services_are_child_spans_of_the_request(spans: Spans) -> None:
    tracer = tracing.request_tracer()
    assert tracer is not None
    with (
        tracer.start_as_current_span("GET /x"),
        tracing.service_span("TaskService.list"),
        tracing.statement_span("select tasks", SQL),
    ):
        pass
    finished = spans.finished()
    statement, service, http = (finished[n] for n in ("select tasks", "TaskService.list", "GET /x"))
    assert statement.parent is not None
    assert service.parent is not None
    assert statement.parent.span_id == service.context.span_id
    assert service.parent.span_id == http.context.span_id
    assert statement.attributes == {
        "db.system.name": "postgresql",
        "db.query.summary": "select tasks",
        "db.query.text": SQL,
        "db.operation.name": "select",
    }
    assert http.resource.attributes["service.name"] == "task-service"


def test_a_statement_outside_a_request_has_no_span(spans: Spans) -> None:
    with tracing.statement_span("select tasks", SQL):
        pass
    assert spans.finished() == {}


def test_a_request_that_is_not_sampled_creates_no_spans(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    shutdown = tracing.install_tracer_provider(settings, InMemorySpanExporter())
    tracer = tracing.request_tracer()
    assert tracer is not None
    with tracer.start_as_current_span("GET /x"):
        assert tracing.statement_span("select tasks", SQL) is tracing._NO_SPAN
    shutdown()


class EverySecond(Sampler):
    """Samples every second call, so that a second call for one trace would change the result."""

    def __init__(self) -> None:
        self._calls = 0

    @override
    def should_sample(self, *_arguments: object, **_options: object) -> SamplingResult:
        self._calls += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE if self._calls % 2 == 0 else Decision.DROP)

    @override
    def get_description(self) -> str:
        return "every second"


@pytest.mark.parametrize(
    ("variables", "minimum", "maximum"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_on"}, 400, 400),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 50, 150),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0, 0),
    ],
)
def test_new_traces_are_sampled_by_the_standard_variables(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    minimum: int,
    maximum: int,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sampled = start_traces(settings, 400)
    assert minimum <= len(sampled) <= maximum


def test_a_sampler_is_called_once_per_trace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentelemetry.sdk.trace.sampling._get_from_env_or_default", EverySecond)
    assert len(start_traces(settings, 100)) == 50


def start_traces(settings: Settings, number: int) -> set[int]:
    """Start `number` traces and return the trace ids of the recorded ones."""
    shutdown = tracing.install_tracer_provider(settings, InMemorySpanExporter())
    tracer = tracing.request_tracer()
    assert tracer is not None
    traces = [tracing.start_request_span(tracer, "GET", Context()) for _ in range(number)]
    shutdown()
    assert len({trace_id for trace_id, _ in traces}) == number
    for trace_id, span in traces:
        assert span is None or span.get_span_context().trace_id == trace_id
    return {trace_id for trace_id, span in traces if span is not None}


def test_a_failed_statement_is_marked_without_the_error_message(spans: Spans) -> None:
    tracer = tracing.request_tracer()
    assert tracer is not None
    with (
        tracer.start_as_current_span("GET /x", record_exception=False),
        pytest.raises(ValueError, match="planted"),
        tracing.statement_span("insert task", SQL),
    ):
        raise ValueError("planted-task-text")
    span = spans.finished()["insert task"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert "planted" not in span.to_json()


class SilentExporter(SpanExporter):
    """An exporter whose collector accepts the connection and never responds."""

    def __init__(self) -> None:
        self.released = Event()

    @override
    def export(self, spans: object) -> SpanExportResult:
        self.released.wait()
        return SpanExportResult.FAILURE

    @override
    def shutdown(self) -> None:
        self.released.set()


def test_a_silent_collector_delays_shutdown_for_a_limited_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracing._FLUSH_SECONDS == 3
    monkeypatch.setattr(tracing, "_FLUSH_SECONDS", 0.1)
    exporter = SilentExporter()
    shutdown = tracing.install_tracer_provider(settings, exporter)
    tracer = tracing.request_tracer()
    assert tracer is not None
    tracer.start_span("GET /x").end()
    shutdown()
    assert exporter.released.is_set()
