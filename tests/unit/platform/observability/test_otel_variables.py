"""OpenTelemetry's variables: an invalid one is reported without its value, and its default applies."""

import os

import pytest
from structlog.testing import capture_logs

from backend.config import Settings
from backend.platform.observability import otel_variables, tracing
from backend.platform.observability.otel_variables import discard_invalid_variables, is_tracing_configured


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in otel_variables._CHECKS:
        monkeypatch.setenv(name, "")  # restores a variable that the code under test removes
        monkeypatch.delenv(name)


INVALID = [
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "abc"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://u:hunter2#x@collector"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2%0A"),
    ("OTEL_EXPORTER_OTLP_HEADERS", 'authorization="hunter2"'),
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_TRACES_SAMPLER", "sometimes"),
    ("OTEL_TRACES_SAMPLER_ARG", "7"),
    ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
    ("OTEL_PROPAGATORS", "b3"),
    ("OTEL_SDK_DISABLED", "yes"),
]


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_an_invalid_variable_is_reported_and_does_not_stop_tracing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with capture_logs() as entries:
        shutdown = tracing.configure_tracing(Settings(better_auth_secret="x" * 32))
        assert tracing.request_tracer() is not None
        shutdown()
    assert name not in os.environ
    assert [entry["variable"] for entry in entries] == [name]
    assert "hunter2" not in f"{entries} {caplog.text}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", " 64 "),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "unset"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5000"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2.5"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, x-team = a=b"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://[::1]:4318/prefix"),
        ("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_PROPAGATORS", "tracecontext, baggage"),
    ],
)
def test_a_valid_variable_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert list(discard_invalid_variables()) == []
    assert os.environ[name] == value.strip()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": ""}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"}, False),
    ],
)
def test_tracing_is_configured_by_an_endpoint(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    list(discard_invalid_variables())
    assert is_tracing_configured() is expected


def test_an_sdk_that_does_not_start_leaves_the_service_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")

    def fail(*_arguments: object) -> None:
        raise ValueError("unknown variable of a later release")

    monkeypatch.setattr(tracing, "install_tracer_provider", fail)
    tracing.configure_tracing(Settings(better_auth_secret="x" * 32))()
    assert tracing.request_tracer() is None
