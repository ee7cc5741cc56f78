"""Malformed HTTP/1.1 requests (RFC 9112) get their response and do not affect the next request."""

import asyncio

from backend.platform.observability.metrics import REGISTRY
from tests.support.raw_http import exchange, open_connection, read_answer, status_of
from tests.support.service import RunningService
from tests.support.waiting import poll_until, scaled

BODY = b'{"title": "T"}'
LENGTH = b"Content-Length: 14\r\n"

# What stands in the place of the request line, and of further headers, and the body.
REQUESTS: dict[str, tuple[bytes, bytes, bytes, int]] = {
    "method in lower case": (b"get {tasks} HTTP/1.1", b"", b"", 400),
    "unknown method": (b"FETCH {tasks} HTTP/1.1", b"", b"", 400),
    "CONNECT": (b"CONNECT service:80 HTTP/1.1", b"", b"", 501),
    "HTTP/1.0": (b"GET {tasks} HTTP/1.0", b"", b"", 200),
    "HTTP/3": (b"GET {tasks} HTTP/3", b"", b"", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0", b"", b"SM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"", b"", 400),
    "whole URL": (b"GET http://elsewhere{tasks} HTTP/1.1", b"", b"", 200),
    "asterisk": (b"OPTIONS * HTTP/1.1", b"", b"", 404),
    "no slash": (b"GET api/raw/tasks HTTP/1.1", b"", b"", 400),
    "two slashes": (b"GET /{tasks} HTTP/1.1", b"", b"", 404),
    "space in the path": (b"GET /api/ra w/tasks HTTP/1.1", b"", b"", 400),
    "bytes in the path": (b"GET /api/\xc3\xbc/tasks HTTP/1.1", b"", b"", 400),
    "NUL in the path": (b"GET /api/\0/tasks HTTP/1.1", b"", b"", 400),
    "broken percent": (b"GET /api/%zz/tasks HTTP/1.1", b"", b"", 403),
    "fragment": (b"GET {tasks}#x HTTP/1.1", b"", b"", 200),
    "path of 20,000 characters": (b"GET /" + b"x" * 20_000 + b" HTTP/1.1", b"", b"", 404),
    "space before the colon": (b"GET {tasks} HTTP/1.1", b"X-Odd : 1\r\n", b"", 400),
    "folded header": (b"GET {tasks} HTTP/1.1", b"X-Odd: 1\r\n 2\r\n", b"", 400),
    "NUL in a header": (b"GET {tasks} HTTP/1.1", b"X-Odd: a\0b\r\n", b"", 400),
    "header without a colon": (b"GET {tasks} HTTP/1.1", b"X-Odd\r\n", b"", 400),
    "two tokens": (b"GET {tasks} HTTP/1.1", b"Authorization: Bearer x\r\n", b"", 401),
    "bytes in headers": (
        b"GET {tasks} HTTP/1.1",
        b"X-Request-ID: \xff\r\ntraceparent: \xff\r\nOrigin: \xff\r\nX-Forwarded-For: \xff,,\r\nAccept: \xff\r\n",
        b"",
        200,
    ),
    "websocket": (
        b"GET {tasks} HTTP/1.1",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        b"",
        200,
    ),
    "GET with a body": (b"GET {tasks} HTTP/1.1", LENGTH, BODY, 200),
    "length and chunks": (
        b"POST {tasks} HTTP/1.1",
        LENGTH + b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        400,
    ),
    "chunks and length": (
        b"POST {tasks} HTTP/1.1",
        b"Transfer-Encoding: chunked\r\n" + LENGTH,
        b"0\r\n\r\n",
        400,
    ),
    "negative length": (b"POST {tasks} HTTP/1.1", b"Content-Length: -1\r\n", b"", 400),
    "signed length": (b"POST {tasks} HTTP/1.1", b"Content-Length: +14\r\n", BODY, 400),
    "hexadecimal length": (b"POST {tasks} HTTP/1.1", b"Content-Length: 0xe\r\n", BODY, 400),
    "length beyond 64 bits": (b"POST {tasks} HTTP/1.1", b"Content-Length: " + b"9" * 30 + b"\r\n", b"", 400),
    "length beyond 63 bits": (b"POST {tasks} HTTP/1.1", b"Content-Length: 9223372036854775808\r\n", b"", 413),
    "two lengths": (b"POST {tasks} HTTP/1.1", LENGTH + b"Content-Length: 15\r\n", BODY, 400),
    "list of lengths": (b"POST {tasks} HTTP/1.1", b"Content-Length: 14, 14\r\n", BODY, 400),
    "unknown coding": (b"POST {tasks} HTTP/1.1", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n", 501),
    "size that is no number": (b"POST {tasks} HTTP/1.1", b"Transfer-Encoding: chunked\r\n", b"zz\r\n", 400),
    "negative size": (b"POST {tasks} HTTP/1.1", b"Transfer-Encoding: chunked\r\n", b"-1\r\n", 400),
    "chunk with an extension": (
        b"POST {tasks} HTTP/1.1",
        b"Transfer-Encoding: chunked\r\n",
        b"e;a=b\r\n" + BODY + b"\r\n0\r\n\r\n",
        201,
    ),
    "unknown expectation": (b"POST {tasks} HTTP/1.1", b"Expect: the-worst\r\n" + LENGTH, BODY, 201),
}


def request(
    service: RunningService, first: bytes, more: bytes = b"", body: bytes = b"", user: str = "raw"
) -> bytes:
    line = first.replace(b"{tasks}", f"/api/{user}/tasks".encode())
    token = service.token(user).encode()
    head = line + b"\r\nHost: service\r\nAuthorization: Bearer " + token
    return head + b"\r\nContent-Type: application/json\r\n" + more + b"\r\n" + body


def answers(status_class: str) -> float:
    """Return how many requests have been answered with such a status so far."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "http_server_request_duration_seconds_count"
        and sample.labels["http_response_status_code"].startswith(status_class)
    )


async def test_each_malformed_request_has_its_status(service: RunningService) -> None:
    failed = answers("5")

    async def send(name: str) -> tuple[str, int | None]:
        first, more, body, _ = REQUESTS[name]
        return name, status_of(await exchange(service.url, request(service, first, more, body)))

    statuses = dict(await asyncio.gather(*map(send, REQUESTS)))
    assert statuses == {name: expected for name, (_, _, _, expected) in REQUESTS.items()}
    assert answers("5") == failed


async def test_request_with_many_headers_is_served(service: RunningService) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(1000))
    assert status_of(await exchange(service.url, request(service, b"GET {tasks} HTTP/1.1", many))) == 200


async def test_pipelined_requests_get_responses_in_order(service: RunningService) -> None:
    create = request(service, b"POST {tasks} HTTP/1.1", LENGTH, BODY, user="pipeline")
    listing = request(service, b"GET {tasks} HTTP/1.1", LENGTH, BODY, user="pipeline")
    absent = request(service, b"GET {tasks}/9223372036854775807 HTTP/1.1", user="pipeline")
    async with open_connection(service.url) as (reader, writer):
        writer.write(create + listing + absent + listing)
        answers = [await asyncio.wait_for(read_answer(reader), scaled(10)) for _ in range(4)]
    assert [status for status, _, _ in answers] == [201, 200, 404, 200]
    assert answers[1][2] == answers[3][2]


async def test_disconnected_client_is_not_a_server_error(service: RunningService) -> None:
    told, failed = answers("4"), answers("5")
    whole = request(service, b"POST {tasks} HTTP/1.1", LENGTH, BODY, user="gone")
    for part in (whole[:40], whole[:-8], whole[:-1]):
        assert status_of(await exchange(service.url, part, half_close=True)) in {None, 400}
    await poll_until(lambda: answers("4") + answers("5") >= told + failed + 2, what="each request is counted")
    assert answers("5") == failed
    async with service.user("gone") as user:
        assert (await user.list())["count"] == 0
