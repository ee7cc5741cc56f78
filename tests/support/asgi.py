"""Calls an application without a server: for what a proper server would not pass on."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

__all__ = ["Answer", "call"]


class Answer(NamedTuple):
    """What an application sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value.decode() for each, value in self.headers if each == name.lower().encode()), None)

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    **scope: Any,
) -> Answer:
    """Send one request.

    Args:
        app: The application.
        method: Of the request.
        path: As the server decodes it.
        headers: Of the request.
        body: Of the request.
        scope: What else the server tells, such as `root_path`.
    """
    messages: list[Message] = []

    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        return await asyncio.Future()  # a client that stays and sends no more

    async def send(message: Message) -> None:
        messages.append(message)

    whole: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
    }
    await app(whole | scope, receive, send)
    start, *bodies = messages
    assert start["type"] == "http.response.start"
    assert [each["type"] for each in bodies] == ["http.response.body"] * len(bodies)
    content = b"".join(each.get("body", b"") for each in bodies)
    return Answer(start["status"], list(start["headers"]), content)
