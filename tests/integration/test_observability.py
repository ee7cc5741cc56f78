"""Telemetry of a request: spans that join the caller's trace, a log line, an exemplar, headers."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from backend.config import Settings
from backend.platform.observability import tracing
from backend.platform.observability.logging import configure_logging
from tests.support.logs import restored_logging
from tests.support.service import RunningService

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-00"
MARKER = "planted-task-text"


@dataclass
class Traced:
    """A service whose spans are collected."""

    service: RunningService
    exporter: InMemorySpanExporter

    def spans(self) -> dict[str, ReadableSpan]:
        """End tracing and return the spans by name."""
        self.end()
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def end(self) -> None:
        self._shutdown()

    def __post_init__(self) -> None:
        self._shutdown = tracing.install_tracer_provider(self.service.settings, self.exporter)


@pytest.fixture
async def traced(service: RunningService) -> AsyncIterator[Traced]:
    traced = Traced(service, InMemorySpanExporter())
    yield traced
    traced.end()


async def test_a_request_is_a_trace_of_http_service_and_sql_that_joins_the_callers(traced: Traced) -> None:
    async with traced.service.user() as user:
        answer = await user.client.post(user.tasks, json={"title": MARKER}, headers={"traceparent": SAMPLED})
        assert answer.status_code == 201
    spans = traced.spans()
    http, service, sql = (spans[name] for name in ("POST /api/{user_id}/tasks", "create task", "insert task"))
    assert http.parent is not None
    assert service.parent is not None
    assert sql.parent is not None
    assert f"{http.context.trace_id:032x}" == TRACE_ID
    assert f"{http.parent.span_id:016x}" == "b7ad6b7169203331"
    assert service.parent.span_id == http.context.span_id
    assert sql.parent.span_id == service.context.span_id
    assert http.kind is SpanKind.SERVER
    assert sql.kind is SpanKind.CLIENT
    assert MARKER not in "".join(span.to_json() for span in spans.values())


async def test_a_sampled_request_is_an_exemplar_of_the_metric(traced: Traced) -> None:
    async with traced.service.user() as user:
        await user.client.get(user.tasks, headers={"traceparent": SAMPLED})
        metrics = await user.client.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
    assert f'# {{trace_id="{TRACE_ID}"}}' in metrics.text


async def test_request_is_one_log_line_without_private_data(
    traced: Traced, capfd: pytest.CaptureFixture[str]
) -> None:
    production = Settings.model_copy(traced.service.settings, update={"environment": "production"})
    sent = {"traceparent": SAMPLED, "X-Request-ID": "mine"}
    async with traced.service.user() as user:
        with restored_logging():
            configure_logging(production)
            await user.client.get(user.tasks, params={"search": MARKER}, headers=sent)
            await user.client.get("/health")
        token = user.client.headers["Authorization"].removeprefix("Bearer ")
    output = capfd.readouterr().out
    (line,) = (json.loads(line) for line in output.splitlines() if '"event":"request"' in line)
    assert (
        line.items()
        >= {
            "request_id": "mine",
            "trace_id": TRACE_ID,
            "user": user.id,
            "route": "/api/{user_id}/tasks",
            "method": "GET",
            "status": 200,
        }.items()
    )
    assert 0 < line["duration_ms"] < 10_000
    assert MARKER not in output
    assert token not in output


def test_a_variable_that_the_sdk_reads_when_it_is_imported() -> None:
    program = "from backend.platform.observability import otel_variables, tracing; print(otel_variables.IGNORED_AT_IMPORT)"
    variables = {**os.environ, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "abc"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
    )
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in result.stdout
