"""Log lines: JSON objects with the request id and without sensitive data."""

import json
import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import structlog

from backend.config import Settings
from backend.errors import UserNotRegistered
from backend.platform.observability.access_log import access_log
from backend.platform.observability.logging import configure_logging, request_context
from tests.support.fast_paths import set_fast_paths
from tests.support.logs import restored_logging

PLANTED = "planted-task-text"


class Output:
    """The text on stdout since the start of the test."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def text(self) -> str:
        self._text += self._captured.readouterr().out
        return self._text

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def output(capfd: pytest.CaptureFixture[str]) -> Iterator[Output]:
    with restored_logging():
        yield Output(capfd)


def production() -> Settings:
    return Settings(
        environment="production",
        database_url="postgresql://u:p@db/tasks",
        better_auth_secret="x" * 32,
    )


def test_lines_of_structlog_and_the_standard_library_have_the_same_fields(output: Output) -> None:
    configure_logging(production())
    structlog.get_logger().info("structlog", number=42)
    logging.getLogger("alembic").warning("alembic %s", "x")
    logging.getLogger("uvicorn.error").info("uvicorn")
    lines = output.lines()
    assert lines[0].items() >= {"event": "structlog", "number": 42, "level": "info"}.items()
    assert lines[1].items() >= {"event": "alembic x", "level": "warning", "logger": "alembic"}.items()
    assert lines[2]["event"] == "uvicorn"
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_line_has_the_id_of_its_request(output: Output) -> None:
    configure_logging(production())
    token = request_context.set({"request_id": "request-1", "trace_id": "trace-1"})
    structlog.get_logger().info("event")
    logging.getLogger("library").warning("library event")
    request_context.reset(token)
    structlog.get_logger().info("later")
    lines = output.lines()
    assert [line.get("request_id") for line in lines] == ["request-1", "request-1", None]
    assert [line.get("trace_id") for line in lines] == ["trace-1", "trace-1", None]


@pytest.mark.parametrize("accelerators", [(), ("access_log",)])
def test_the_access_log_has_user_route_status_and_duration(
    output: Output, monkeypatch: pytest.MonkeyPatch, accelerators: tuple[str, ...]
) -> None:
    set_fast_paths(monkeypatch, *accelerators)
    configure_logging(production())
    access_log(
        request_id="request-1",
        trace_id="a" * 32,
        user="alice",
        route="/api/{user_id}/tasks",
        method="GET",
        status=200,
        duration_ms=1.23456,
    )
    (line,) = output.lines()
    del line["timestamp"]
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": "request-1",
        "trace_id": "a" * 32,
        "user": "alice",
        "route": "/api/{user_id}/tasks",
        "method": "GET",
        "status": 200,
        "duration_ms": 1.23,
    }


def test_in_development_a_status_is_a_number(output: Output) -> None:
    configure_logging(Settings())
    access_log(
        **dict.fromkeys(("request_id", "trace_id", "user", "route")),
        method="GET",
        status=HTTPStatus.NOT_FOUND,
        duration_ms=1,
    )
    assert "404" in output.text()
    assert "NOT_FOUND" not in output.text()


@pytest.mark.parametrize("standard_library", [False, True])
def test_an_exception_is_logged_with_type_and_stack_and_without_its_message(
    output: Output, *, standard_library: bool
) -> None:
    configure_logging(production())
    try:
        try:
            int(PLANTED)
        except ValueError as error:
            raise RuntimeError(PLANTED) from error
    except RuntimeError:
        if standard_library:
            logging.getLogger("library").exception("failed")
        else:
            structlog.get_logger().exception("failed")
    assert PLANTED not in output.text()
    (line,) = output.lines()
    assert line["error"] == "builtins.RuntimeError"
    assert line["cause"] == "builtins.ValueError"
    assert line["stack"][0].startswith(__file__)


def test_a_domain_error_is_logged_with_its_detail(output: Output) -> None:
    configure_logging(production())
    structlog.get_logger().error("failed", exc_info=UserNotRegistered("No such user."))
    assert output.lines()[0]["error"] == "backend.errors.UserNotRegistered: No such user."


def test_development_writes_plain_text(output: Output) -> None:
    configure_logging(Settings(environment="development", better_auth_secret="x" * 32))
    structlog.get_logger().info("event", number=42)
    logging.getLogger("library").warning("library event")
    text = output.text()
    assert "number=42" in text
    assert "library event" in text
    assert not text.startswith("{")


@pytest.mark.parametrize("accelerators", [(), ("access_log",)])
def test_lines_below_the_level_are_not_written(
    output: Output, monkeypatch: pytest.MonkeyPatch, accelerators: tuple[str, ...]
) -> None:
    set_fast_paths(monkeypatch, *accelerators)
    settings = production().model_copy(update={"log_level": "WARNING"})
    configure_logging(settings)
    structlog.get_logger().info("event")
    logging.getLogger("library").info("library event")
    logging.getLogger("uvicorn.access").error("GET /api/alice/tasks?search=%s", PLANTED)
    access_log(
        **dict.fromkeys(("request_id", "trace_id", "user", "route")), method="GET", status=200, duration_ms=1
    )
    assert output.text() == ""
