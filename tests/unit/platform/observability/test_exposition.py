"""Metrics of a single process: the same names as in multiprocess mode, in the accepted format."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.platform.observability import exemplars, metrics, runtime_metrics
from backend.platform.observability.exposition import render_metrics
from backend.platform.observability.runtime_metrics import collect_runtime_metrics

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
TRACE_ID = "b" * 32


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    yield
    exemplars.exemplars_of_this_process.clear()


def scrape(accept: str = OPEN_METRICS) -> str:
    body, content_type = render_metrics(accept)
    assert content_type.split(";")[0] == accept.split(";", maxsplit=1)[0]
    return body.decode()


@pytest.mark.parametrize(
    "name",
    [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ],
)
def test_process_metrics_have_a_role(name: str) -> None:
    (line,) = (line for line in scrape().splitlines() if line.startswith(name))
    assert line.startswith(f'{name}{{role="worker"}} ')
    assert float(line.split()[1]) > 0


def test_a_sampled_request_is_the_exemplar_of_its_bucket() -> None:
    labels = metrics.observe_request("PUT", "/exemplar", 200, 0.4)
    exemplars.record_exemplar(labels, 0.4, TRACE_ID)
    lines = [line for line in scrape().splitlines() if TRACE_ID in line]
    assert len(lines) == 1
    assert 'http_route="/exemplar"' in lines[0]
    assert 'le="0.5"' in lines[0]


def test_a_duration_above_every_bound_has_its_exemplar_in_the_last_bucket() -> None:
    labels = metrics.observe_request("PUT", "/exemplar", 504, 60.0)
    exemplars.record_exemplar(labels, 60.0, TRACE_ID)
    assert ['le="+Inf"' in line for line in scrape().splitlines() if TRACE_ID in line] == [True]


def test_a_scraper_without_openmetrics_gets_the_text_format_without_exemplars() -> None:
    exemplars.record_exemplar(metrics.observe_request("PUT", "/exemplar", 200, 0.3), 0.3, TRACE_ID)
    text = scrape("text/plain")
    assert "http_server_request_duration_seconds_bucket" in text
    assert TRACE_ID not in text


async def test_a_blocked_event_loop_shows_as_lag() -> None:
    async with collect_runtime_metrics(lambda: metrics.PoolState(idle=4, used=1, limit=9)):
        await asyncio.sleep(0)
        time.sleep(0.8)  # noqa: ASYNC251 - blocks the event loop on purpose
        await asyncio.sleep(0.1)  # one iteration of the event loop is enough
    assert (metrics.REGISTRY.get_sample_value("event_loop_lag_seconds") or 0.0) > 0.2
    assert metrics.REGISTRY.get_sample_value("db_client_connection_max") == 9
    assert metrics.REGISTRY.get_sample_value("gunicorn_workers") == 1


def test_only_the_current_schema_revision_is_1() -> None:
    metrics.set_schema_revision("0002", "0001")
    metrics.set_schema_revision("0002", "0002")
    name = "database_schema_revision_info"
    assert metrics.REGISTRY.get_sample_value(name, {"expected": "0002", "current": "0001"}) == 0
    assert metrics.REGISTRY.get_sample_value(name, {"expected": "0002", "current": "0002"}) == 1


async def test_the_sampler_writes_exemplars_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[None] = []
    monkeypatch.setattr(runtime_metrics, "metrics_directory", lambda: tmp_path)
    monkeypatch.setattr(runtime_metrics, "_PERIOD_SECONDS", 0.0)
    monkeypatch.setattr(runtime_metrics, "write_exemplars", lambda *_: written.append(None))
    async with collect_runtime_metrics():
        for number in (1, 2):
            exemplars.record_exemplar(("PUT", "/changed", "200"), number, TRACE_ID)
            for _ in range(10):  # iterations of the event loop, each of which samples
                await asyncio.sleep(0)
            assert len(written) == number
