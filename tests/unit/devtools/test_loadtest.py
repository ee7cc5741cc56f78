"""The load test: its mix of requests and its report, against a service without a socket."""

import json
from collections import Counter
from itertools import count
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from rich.console import Console

from backend.devtools import loadtest
from backend.devtools.loadtest import _Report, _run_client


class FakeService:
    """Responds to the requests of the load test."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: Counter[str] = Counter()
        self.live: set[int] = set()
        self._numbers = count(1)

    def respond(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path.startswith("/api/load/tasks")
        number = request.url.path.split("/")[4:5]
        self.requests[request.method] += 1
        if number:
            assert int(number[0]) in self.live, "only tasks that this client created"
        if request.method == "DELETE":
            self.live.discard(int(number[0]))
        if request.method == "POST":
            assert json.loads(request.content)["title"]
            self.live.add(created := next(self._numbers))
            return httpx.Response(201, json={"id": created})
        return httpx.Response(self.status)


async def run_for(monkeypatch: pytest.MonkeyPatch, requests: int, respond: Any) -> _Report:
    clock = count()
    monkeypatch.setattr(loadtest, "time", Mock(perf_counter=lambda: next(clock) / 10))
    report = _Report(started=0)
    async with httpx.AsyncClient(base_url="http://service", transport=httpx.MockTransport(respond)) as client:
        await _run_client(client, requests * 3 / 10, report)  # the clock is read three times for each request
    return report


def text_of(report: _Report) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report.table())
    return capture.get()


async def test_client_sends_every_kind_of_request(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    report = await run_for(monkeypatch, 500, service.respond)
    assert set(service.requests) == {"GET", "POST", "PATCH", "DELETE"}
    assert service.requests["GET"] > service.requests["POST"] > service.requests["DELETE"]
    assert (service.requests.total(), report.errors) == (len(report.latencies), Counter())


async def test_error_responses_are_counted_by_status(monkeypatch: pytest.MonkeyPatch) -> None:
    report = await run_for(monkeypatch, 20, lambda _: httpx.Response(503))
    assert report.errors == {"503": len(report.latencies)}
    assert f"{len(report.latencies)} × 503" in text_of(report)


async def test_failed_connection_is_counted_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    report = await run_for(monkeypatch, 2, refuse)
    assert (report.latencies, set(report.errors)) == ([], {"ConnectError"})


def test_table_has_rate_and_percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest, "time", Mock(perf_counter=lambda: 10.0))
    report = _Report(started=0, latencies=[number / 1000 for number in range(1, 101)])
    row = text_of(report).splitlines()[-2]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "100",
        "10",
        "50.5",
        "96.0",
        "100.0",
        "none",
    ]


def test_table_without_a_response_is_empty() -> None:
    assert "none" in text_of(_Report())
