"""An unhandled exception becomes a 500, or closes the connection if the response has started."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from backend.platform.http.middleware.unhandled_exception import UnhandledExceptionMiddleware

SCOPE: dict[str, Any] = {"type": "http", "path": "/api/alice/tasks", "state": {"request_id": "r1"}}


async def receive() -> Message:
    raise AssertionError("nothing is read")


async def test_error_before_the_response_is_500() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a secret")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as entries:
        await UnhandledExceptionMiddleware(broken)(SCOPE, receive, send)
    assert [sent[0]["status"], b"secret" in sent[1]["body"]] == [500, False]
    assert [(entry["log_level"], entry["path"]) for entry in entries] == [("error", SCOPE["path"])]


async def test_error_after_the_start_of_the_response_is_raised_again() -> None:
    async def fail_after_start(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as entries, pytest.raises(RuntimeError, match="half way"):
        await UnhandledExceptionMiddleware(fail_after_start)(SCOPE, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert len(entries) == 1
