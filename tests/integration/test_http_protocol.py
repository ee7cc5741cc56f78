"""Headers that are too large or too slow end their own connection and no other."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter

import httpx
import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from backend.platform.server import http_protocol
from backend.platform.server.http_protocol import MAX_HEADER_BYTES, BoundedHttpProtocol
from tests.support.waiting import scaled, timeout

SLOW_CONNECTIONS = 500


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


type Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(echo, http=BoundedHttpProtocol, lifespan="off", log_config=None, loop="none")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    async with contextlib.AsyncExitStack() as stack:

        async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            return reader, writer

        yield open_one


@pytest.fixture
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_READ_TIMEOUT_SECONDS", scaled(0.2))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        async with timeout(5):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
@pytest.mark.usefixtures("short_time")
async def test_a_head_that_does_not_end_in_time_ends_the_connection(connect: Connect, sent: bytes) -> None:
    reader, writer = await connect()
    writer.write(sent)
    assert await is_closed(reader)


@pytest.mark.usefixtures("short_time")
async def test_a_second_head_on_the_same_connection_has_the_same_time(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert await is_closed(reader)


@pytest.mark.usefixtures("short_time")
async def test_a_connection_may_be_idle_between_requests_and_a_body_may_be_slow(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(scaled(0.3))
        writer.write(b"b")
        assert (await reader.readuntil(b"ab")).startswith(b"HTTP/1.1 200")


async def test_slow_connections_do_not_stop_other_users(port: int, connect: Connect) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=scaled(5)) as client:

        async def seconds_of_requests() -> float:
            started = perf_counter()
            answers = [await client.get("/") for _ in range(50)]
            assert {answer.status_code for answer in answers} == {200}
            return perf_counter() - started

        alone = await seconds_of_requests()
        for _, writer in [await connect() for _ in range(SLOW_CONNECTIONS)]:
            writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        # One that waited for a slow connection would wait for ten seconds.
        assert await seconds_of_requests() < 50 * alone


async def test_a_head_that_is_too_large_is_refused(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * MAX_HEADER_BYTES)
    assert (await reader.readline()) == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


async def test_a_large_body_is_no_large_head(connect: Connect) -> None:
    reader, writer = await connect()
    body = b"x" * MAX_HEADER_BYTES * 2
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(body)) == body


async def test_what_follows_a_request_without_a_host_is_not_served(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.read()).count(b"HTTP/1.1 ") == 1


async def answer_at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def ask_and_close_half(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=scaled(5)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(4096)


def test_a_client_that_has_sent_its_end_is_answered() -> None:
    async def ask(times: int) -> list[bytes]:
        config = uvicorn.Config(answer_at_once, http=BoundedHttpProtocol, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            port = listener.getsockname()[1]
            answers = [await asyncio.to_thread(ask_and_close_half, port) for _ in range(times)]
            server.should_exit = True
            await serving
        return answers

    # On the loop of production: asyncio's own leaves the connection half open.
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in uvloop.run(ask(30)))
