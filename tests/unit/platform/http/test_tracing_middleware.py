"""Spans of requests: attributes of OpenTelemetry's HTTP conventions, status, and the caller's sampling decision."""

from collections.abc import Callable, Iterator
from typing import override

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from backend.config import Settings
from backend.platform.observability import tracing
from tests.support.fakes import FakeRepository, send
from tests.support.service import SECRET

TASKS = "/api/alice/tasks"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
NOT_SAMPLED = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-00"}
MARKER = "planted-task-text"

type Spans = Callable[[], dict[str, ReadableSpan]]


class BrokenRepository(FakeRepository):
    """Fails unexpectedly."""

    @override
    async def get(self, _user: str, _task_id: int) -> None:
        raise RuntimeError(MARKER)


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    shutdown = tracing.install_tracer_provider(Settings(better_auth_secret=SECRET), exporter)

    def finished() -> dict[str, ReadableSpan]:
        shutdown()
        return {span.name: span for span in exporter.get_finished_spans()}

    yield finished
    shutdown()


async def test_span_has_the_attributes_of_the_conventions_and_no_query(spans: Spans) -> None:
    await send(FakeRepository(), "GET", TASKS, query=f"search={MARKER}", headers=SAMPLED)
    span = spans()["GET /api/{user_id}/tasks"]
    assert span.kind is SpanKind.SERVER
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/{user_id}/tasks",
        "url.path": TASKS,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "client.address": "127.0.0.1",
    }
    assert MARKER not in span.to_json()


async def test_span_continues_the_trace_of_the_caller(spans: Spans) -> None:
    await send(FakeRepository(), "GET", TASKS, headers=SAMPLED)
    found = spans()
    http, service = found["GET /api/{user_id}/tasks"], found["list tasks"]
    assert http.parent is not None
    assert service.parent is not None
    assert (f"{http.context.trace_id:032x}", f"{http.parent.span_id:016x}") == (TRACE_ID, "b7ad6b7169203331")
    assert service.parent.span_id == http.context.span_id


async def test_sampling_decision_of_the_caller_is_respected(spans: Spans) -> None:
    await send(FakeRepository(), "GET", TASKS, headers=NOT_SAMPLED)
    assert spans() == {}


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [("/nothing/here", "GET", 404), ("/api/bob/tasks", "GET /api/{user_id}/tasks", 403)],
)
async def test_client_error_does_not_set_the_span_status(
    spans: Spans, path: str, name: str, status: int
) -> None:
    await send(FakeRepository(), "GET", path, headers=SAMPLED)
    span = spans()[name]
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})["http.response.status_code"] == status
    assert "error.type" not in (span.attributes or {})


async def test_server_error_sets_the_span_status_without_the_message(spans: Spans) -> None:
    await send(BrokenRepository(), "GET", f"{TASKS}/1", headers=SAMPLED)
    span = spans()["GET /api/{user_id}/tasks/{task_id}"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "500"
    assert MARKER not in span.to_json()
