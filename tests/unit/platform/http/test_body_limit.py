"""Limits of request bodies: size by Content-Length and by bytes received, and time."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from backend.platform.http.middleware.body_limit import BodyLimitMiddleware
from backend.platform.http.problem_details import HttpError
from tests.support.virtual_time import in_virtual_time

LIMIT = 10
TIMEOUT_SECONDS = 5.0


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """Sends the pieces of a body, each after a delay, and records what the application reads and sends."""

    def __init__(self, *pieces: Message, delay_seconds: float = 0, content_length: int | None = None) -> None:
        self.pieces = list(pieces)
        self.delay_seconds = delay_seconds
        headers = [] if content_length is None else [(b"content-length", b"%d" % content_length)]
        self.scope: dict[str, Any] = {
            "type": "http",
            "path": "/",
            "headers": headers,
            "state": {"request_id": "r1"},
        }
        self.read: list[Message] = []
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        await asyncio.sleep(self.delay_seconds)
        return self.pieces.pop(0) if self.pieces else await asyncio.Future()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def app(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        more = True
        while more:
            self.read.append(await receive())
            more = self.read[-1].get("more_body", False)

    async def run(self) -> None:
        limited = BodyLimitMiddleware(self.app, max_bytes=LIMIT, timeout_seconds=TIMEOUT_SECONDS)
        await limited(self.scope, self.receive, self.send)


async def test_content_length_over_the_limit_is_rejected_before_the_body_is_read() -> None:
    client = Client(piece(b"x" * (LIMIT + 1)), content_length=LIMIT + 1)
    await client.run()
    assert (client.sent[0]["status"], client.read, len(client.pieces)) == (413, [], 1)


async def test_body_of_the_limit_is_passed_on_unchanged() -> None:
    pieces = [piece(b"x" * 4, more=True), piece(b"y" * 6)]
    client = Client(*pieces, content_length=LIMIT)
    await client.run()
    assert (client.read, client.sent) == (pieces, [])


async def test_chunks_over_the_limit_are_rejected_by_their_sum() -> None:
    client = Client(piece(b"x" * LIMIT, more=True), piece(b"y", more=True), piece(b"z"))
    with pytest.raises(HttpError) as rejection:
        await client.run()
    # The server discards the rest, so the connection stays open.
    assert (rejection.value.status, rejection.value.headers) == (413, {})
    assert len(client.pieces) == 1


@in_virtual_time
async def test_slow_body_is_rejected_by_its_total_time() -> None:
    client = Client(*[piece(b"x", more=True)] * 4, delay_seconds=2)
    with pytest.raises(HttpError) as rejection:
        await client.run()
    assert (rejection.value.status, rejection.value.headers) == (408, {"Connection": "close"})
    assert rejection.value.detail == "The body did not arrive within 5 seconds."
    assert (len(client.read), asyncio.get_running_loop().time()) == (2, TIMEOUT_SECONDS)


@in_virtual_time
async def test_time_limit_ends_with_the_body() -> None:
    client = Client(piece(b"x"))
    disconnected: list[Message] = []

    async def wait_for_disconnect(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        client.delay_seconds = 100
        client.pieces.append({"type": "http.disconnect"})
        disconnected.append(await receive())

    limited = BodyLimitMiddleware(wait_for_disconnect, max_bytes=LIMIT, timeout_seconds=TIMEOUT_SECONDS)
    await limited(client.scope, client.receive, client.send)
    assert disconnected == [{"type": "http.disconnect"}]


async def test_other_connections_are_passed_on() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    client = Client()
    await BodyLimitMiddleware(app, max_bytes=LIMIT, timeout_seconds=1)(
        {"type": "lifespan"}, client.receive, client.send
    )
    assert seen == [{"type": "lifespan"}]
