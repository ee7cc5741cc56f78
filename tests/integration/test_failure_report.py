"""The report of a failed test has the contract of its request, and the log lines of no other request."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.run_guard import VARIABLE
from tests.support.waiting import scaled

pytestmark = pytest.mark.usefixtures("unmeasured_processes")

ROOT = Path(__file__).parents[2]

FAILING_TESTS = """
import json, logging
import httpx, pytest, structlog
from tests.support.failure_report import log_files
from tests.support.service import running_service, service_settings

@pytest.fixture
async def responses(tmp_path):
    # No server listens there: the API responds with 503.
    settings = service_settings("postgresql://u:hunter2@127.0.0.1:9/tasks?sslmode=disable")
    async with running_service(settings) as service, service.user("alice") as user:
        yield {
            "earlier": await user.request("POST", json={"title": "T"}, headers={"X-Request-ID": "id-of-earlier"}),
            "failed": await user.request("GET", headers={"X-Request-ID": "id-of-failed"}),
            "later": await user.client.get("/nowhere", headers={"X-Request-ID": "id-of-later"}),
        }

async def test_named(responses, tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(
        json.dumps({"event": f"in another process {name}", "request_id": f"id-of-{name}"}) + "\\n" for name in responses
    ))
    log_files.add(log)
    answer, other = responses["failed"], responses["later"]
    assert other.status_code == 404
    assert answer.status_code == 200

async def test_last(responses):
    assert [each.status_code for each in responses.values()] == []

def test_without_a_request():
    structlog.get_logger().warning("a warning of structlog")
    logging.getLogger("library").warning("a warning of a library")
    assert False

def test_with_a_frame_of_cython(tmp_path):
    source = tmp_path / "protocol.pyx"
    source.write_text("cimport cython\\nraise ValueError\\n")
    exec(compile("\\nraise ValueError('in Cython')", str(source), "exec"))

async def test_with_a_stream(responses):
    async def parts():
        yield b"part"
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=parts()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        async with client.stream("GET", "/events") as streamed:
            [part async for part in streamed.aiter_raw()]
    assert streamed.status_code == 201

async def test_without_a_response(responses):
    def refuse(request):
        raise httpx.ReadTimeout("late", request=request)
    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://service") as client:
        await client.delete("/api/alice/tasks/1")
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The part of the output for each failed test, by its name."""
    folder = tmp_path_factory.mktemp("failing")
    (folder / "test_it.py").write_text(FAILING_TESTS)
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={folder}", "-p", "anyio", "-o"),
            *("anyio_mode=auto", "-p", "no:cacheprovider", "--tb=short"),
            *("-p", "tests.support.failure_report", "test_it.py"),
        ],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(60),
    )
    assert "6 failed" in run.stdout, run.stdout + run.stderr
    _, *parts = re.split(r"\n_+ (test_\w+).* _+\n", run.stdout)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_report_names_the_contract_of_the_failed_request(reports: dict[str, str]) -> None:
    report = reports["test_named"]
    assert "contract of list_tasks: GET /api/{user_id}/tasks" in report
    assert (
        "response: 503, Service Unavailable: The database, or the frontend's key set, is unavailable."
        in report
    )
    assert '"type":"urn:task-service:problem:database-unavailable"' in report


def test_report_has_the_log_lines_of_the_failed_request_only(reports: dict[str, str]) -> None:
    report = reports["test_named"]
    events = [line for line in report.splitlines() if line.startswith("{") and '"event"' in line]
    assert len(events) == 3
    assert all('"request_id": "id-of-failed"' in line for line in events)
    for event in ("database failure", "request", "in another process failed"):
        assert any(f'"event": "{event}"' in line for line in events), event
    assert "id-of-earlier" not in report
    assert "id-of-later" not in report
    assert "hunter2" not in report


def test_last_response_is_reported_if_the_statement_names_none(reports: dict[str, str]) -> None:
    report = reports["test_last"]
    assert "request outside of the contract: GET /nowhere" in report
    assert "log lines of request id-of-later" in report
    assert "id-of-failed" not in report


def test_report_without_a_request_has_the_whole_log(reports: dict[str, str]) -> None:
    report = reports["test_without_a_request"]
    assert "a warning of structlog" in report
    assert "a warning of a library" in report


def test_error_in_a_source_that_is_not_python_is_reported(reports: dict[str, str]) -> None:
    assert "ValueError: in Cython" in reports["test_with_a_frame_of_cython"]


def test_response_that_was_read_by_parts_is_reported_without_its_body(reports: dict[str, str]) -> None:
    report = reports["test_with_a_stream"]
    assert "request: GET http://service/events" in report
    assert "response: 200" in report


def test_request_without_a_response_is_reported(reports: dict[str, str]) -> None:
    report = reports["test_without_a_response"]
    assert "contract of delete_task: DELETE /api/{user_id}/tasks/{task_id}" in report
    assert "no response" in report
    assert "id-of-failed" not in report
