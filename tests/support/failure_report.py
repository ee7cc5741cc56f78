"""A pytest plugin: a failed test shows the contract of its request, the response, and the log lines of that request only.

Services in this process log into memory instead of stdout. The logs of server processes are files.
"""

import contextlib
import json
import logging
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, override

import httpx
import pytest
import structlog

from backend.platform.observability.logging import request_context

__all__ = ["log_files", "pytest_configure", "pytest_runtest_makereport", "pytest_runtest_setup"]

log_files: set[Path] = set()
"""The log of each server process that a test has started."""

_OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
_responses: deque[httpx.Response] = deque(maxlen=200)
_lines: deque[str] = deque(maxlen=2000)


class _Handler(logging.Handler):
    """Keeps the lines of the standard library's loggers."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        _keep({"event": self.format(record), "level": record.levelname.lower(), "logger": record.name})


def _keep(event: structlog.typing.EventDict) -> None:
    _lines.append(json.dumps({**request_context.get(), **event}, default=repr))


def _collect(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    _keep(event)
    raise structlog.DropEvent


def pytest_configure() -> None:
    """Collect the responses of httpx and the log events of this process."""
    processors = structlog.processors
    structlog.configure(processors=[processors.add_log_level, processors.format_exc_info, _collect])
    logging.getLogger().addHandler(_Handler())
    httpx.AsyncClient.send = _recorded(httpx.AsyncClient.send)  # type: ignore[method-assign]


def _recorded(send: Callable[..., Any]) -> Callable[..., Any]:
    async def record(*arguments: Any, **options: Any) -> httpx.Response:
        response: httpx.Response = await send(*arguments, **options)
        if "x-request-id" in response.headers:  # else it is not of the service
            _responses.append(response)
        return response

    return record


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget the requests and events of the test before."""
    _responses.clear()
    _lines.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the request that failed to the report; without a request, the log of this process."""
    report = yield
    if not report.failed or call.excinfo is None:
        return report
    title, text = "log of the services in this process", list(_lines)
    error = call.excinfo.value
    if isinstance(error, httpx.RequestError):
        title = _contract(error.request)[0]
        answered = {each.headers["x-request-id"] for each in _responses}
        text = [
            f"request: {error.request.method} {error.request.url}",
            "no response; log lines of such requests:",
        ]
        text += (line for line in _log('"request_id"') if not any(each in line for each in answered))
    elif (response := _failed_response(call.excinfo)) is not None:
        title, meanings = _contract(response.request)
        status, request_id = str(response.status_code), response.headers.get("x-request-id", "unknown")
        text = [f"request: {response.request.method} {response.url}"]
        text += [f"response: {status}, {meanings.get(status, 'not in the contract')}"]
        with contextlib.suppress(httpx.ResponseNotRead):  # a stream that was read by parts, or not at all
            text += [response.text[:2000]]
        text += [f"log lines of request {request_id}:", *_log(json.dumps(request_id))]
    if text:
        report.sections = [each for each in report.sections if not each[0].startswith("Captured log")]
        report.sections.append((title, "\n".join(text).replace("\\n", "\n    ")))  # tracebacks
    return report


def _failed_response(excinfo: pytest.ExceptionInfo[BaseException]) -> httpx.Response | None:
    """Return the response that the failed statement names, else the last one."""
    for entry in reversed(excinfo.traceback):
        responses = {name: each for name, each in entry.locals.items() if isinstance(each, httpx.Response)}
        # The source of a frame can be missing, and of frames without responses not be Python (asyncpg's is Cython).
        statement = str(entry.statement) if responses and entry.frame.code.fullsource is not None else ""
        for name, response in responses.items():
            if re.search(rf"\b{re.escape(name)}\b", statement):
                return response
    return _responses[-1] if _responses else None


def _contract(request: httpx.Request) -> tuple[str, dict[str, str]]:
    """Return the name of the request's operation in the OpenAPI document, and the meaning of each status."""
    method = request.method.lower().replace("head", "get")
    for template, operations in json.loads(_OPENAPI.read_text())["paths"].items():
        if method in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path):
            responses = operations[method]["responses"].items()
            name = f"contract of {operations[method]['operationId']}: {request.method} {template}"
            return name, {status: response["description"] for status, response in responses}
    return f"request outside of the contract: {request.method} {request.url.path}", {}


def _log(text: str) -> Iterator[str]:
    files = (path.read_text(errors="replace").splitlines() for path in sorted(log_files) if path.exists())
    return (line for line in chain(_lines, *files) if text in line)
