"""BoundedHttpProtocol: framing does not depend on packet boundaries, and all input has a limit."""

import asyncio
from dataclasses import dataclass, field
from typing import override

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from backend.platform.server import http_protocol
from backend.platform.server.http_protocol import BoundedHttpProtocol
from backend.platform.server.request_validation import RejectedRequest, validate_request
from tests.support.fast_paths import set_fast_paths
from tests.support.raw_http import statuses_of
from tests.support.raw_requests import RAW_REQUESTS, RawRequest

SMALL = tuple(request for request in RAW_REQUESTS if len(request.raw) < 1000)
SPLIT_EVERYWHERE = tuple(
    request
    for request in SMALL
    if request.name
    in {
        "absolute form with another Host",
        "body longer than its length",
        "chunk extension",
        "chunk longer than its size",
        "chunks with Upgrade",
        "length in the trailer",
        "malformed behind a request",
        "malformed chunk behind a request",
        "trailer field",
        "two Hosts",
        "Upgrade and close",
        "Upgrade in the trailer",
        "Upgrade whose body is a request",
    }
)
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Transport(asyncio.Transport):
    """A transport that records written data."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = self.closed = self.aborted = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.written += data

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        self.ended = True

    @override
    def is_closing(self) -> bool:
        return self.closed

    @override
    def close(self) -> None:
        self.closed = True

    @override
    def abort(self) -> None:
        self.closed = self.aborted = True

    @override
    def pause_reading(self) -> None:
        pass

    @override
    def resume_reading(self) -> None:
        pass


async def empty_app(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


CONFIG = uvicorn.Config(empty_app, http=BoundedHttpProtocol, lifespan="off", log_config=None)
CONFIG.load()


@dataclass
class Connection:
    """A connection without a socket."""

    seen: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    reads_body: bool = True

    def __post_init__(self) -> None:
        self.transport = Transport()
        self.protocol = BoundedHttpProtocol(CONFIG, ServerState(), {})
        self.protocol.app = self.serve
        self.protocol.connection_made(self.transport)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", self.reads_body
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.seen.append((scope["method"], scope["path"], scope["headers"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive(self, *packets: bytes) -> None:
        for packet in packets:
            if not self.transport.is_closing():
                self.protocol.data_received(packet)
            await self.settle()

    async def settle(self) -> None:
        """Wait until the event loop has nothing more to do for this connection: pipelined requests run one by one."""
        progress, unchanged = -1, 0
        while unchanged < 6:
            unchanged = unchanged + 1 if progress == len(self.transport.written) else 0
            progress = len(self.transport.written)
            await asyncio.sleep(0)

    def statuses(self) -> list[int]:
        return statuses_of(bytes(self.transport.written))

    def end(self) -> None:
        self.protocol.connection_lost(None)


async def outcome(*packets: bytes) -> object:
    connection = Connection()
    await connection.receive(*packets)
    connection.end()
    return connection.statuses(), connection.seen


@pytest.mark.parametrize("request_", SPLIT_EVERYWHERE, ids=lambda each: each.name)
def test_outcome_does_not_depend_on_packets(request_: RawRequest) -> None:
    raw = request_.raw + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

    async def compare() -> None:
        whole = await outcome(raw)
        for position in range(1, len(raw)):
            assert await outcome(raw[:position], raw[position:]) == whole, raw[:position]
        assert await outcome(*(bytes([byte]) for byte in raw)) == whole

    asyncio.run(compare())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(SMALL), min_size=1, max_size=3),
    st.lists(st.integers(1, 200), min_size=1, max_size=20),
)
def test_outcome_of_pipelined_requests_does_not_depend_on_packets(
    requests: list[RawRequest], sizes: list[int]
) -> None:
    rest = raw = b"".join(request.raw for request in requests)
    packets = []
    for size in sizes:
        packets.append(rest[:size])
        rest = rest[size:]

    async def compare() -> None:
        assert await outcome(*filter(None, [*packets, rest])) == await outcome(raw)

    asyncio.run(compare())


async def test_trailer_fields_are_not_headers() -> None:
    connection = Connection()
    await connection.receive(CHUNKED + b"1\r\nx\r\n0\r\nX-Forwarded-Proto: https\r\nAuthorization: y\r\n\r\n")
    assert [name for name, _ in connection.seen[0][2]] == [b"host", b"transfer-encoding"]
    assert connection.seen[0][3] == b"x"
    connection.end()


async def test_a_request_with_upgrade_keeps_its_body() -> None:
    connection = Connection()
    inner = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
    headers = POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(inner)
    await connection.receive((headers + inner) * 300)
    assert [(path, body) for _, path, _, body in connection.seen] == [("/", inner)] * len(connection.seen)
    assert set(connection.statuses()) == {200}
    connection.end()


@pytest.mark.parametrize(
    "flood", [b"1;" + b"x" * 10_000, b"0\r\n" + b"X: y\r\n" * 2_000], ids=["extension", "trailer"]
)
@pytest.mark.parametrize("reads_body", [True, False])
async def test_chunk_framing_is_limited(flood: bytes, *, reads_body: bool) -> None:
    connection = Connection(reads_body=reads_body)
    more_flood = flood[-6:] * 2_000 if flood.startswith(b"0") else b"x" * 12_000
    await connection.receive(CHUNKED + flood, *[more_flood] * 10)
    assert connection.statuses() == ([413] if reads_body else [200])
    assert connection.transport.ended
    connection.end()


async def test_one_byte_chunks_are_accepted() -> None:
    connection = Connection()
    await connection.receive(CHUNKED, *[b"1\r\nx\r\n" * 1000] * 60, b"0\r\n\r\n")
    assert connection.statuses() == [200]
    assert connection.seen[0][3] == b"x" * 60_000
    connection.end()


async def test_blank_lines_are_limited() -> None:
    connection = Connection()
    await connection.receive(*[b"\r\n" * 5_000] * 10)
    assert connection.statuses() == [431]
    connection.end()


async def test_the_rest_of_a_request_after_its_response_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "MAX_DISCARD_BYTES", 50_000)
    connection = Connection(reads_body=False)
    await connection.receive(POST + b"Content-Length: 1000000\r\n\r\n", *[b"x" * 10_000] * 5)
    assert not connection.transport.aborted
    await connection.receive(b"x" * 10_000)
    assert connection.transport.aborted
    connection.end()


async def test_a_response_before_the_end_of_the_request_keeps_the_connection_open() -> None:
    connection = Connection(reads_body=False)
    await connection.receive(
        POST + b"Content-Length: 3\r\n\r\n", b"abc" + POST + b"Content-Length: 0\r\n\r\n"
    )
    assert connection.statuses() == [200, 200]
    connection.end()


@pytest.mark.parametrize(
    ("target", "host"),
    [(b"http://b/x", b"b"), (b"https://b:1/x?y", b"b:1"), (b"/x", b"a")],
)
def test_host_is_the_authority_of_an_absolute_target(target: bytes, host: bytes) -> None:
    headers = [(b"x", b"1"), (b"host", b"a")]
    path, _ = validate_request(b"GET", target, "1.1", headers)
    assert path.startswith(b"/x")
    assert dict(headers)[b"host"] == host


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"u@a", b"a:b", b"[::1", b"a%zz", b"a\\b", b"[::1]x"])
def test_a_malformed_host_is_rejected(host: bytes) -> None:
    with pytest.raises(RejectedRequest):
        validate_request(b"GET", b"/", "1.1", [(b"host", host)])


def test_table_has_at_least_sixty_different_requests() -> None:
    names = [request.name for request in RAW_REQUESTS]
    assert len(names) == len(set(names)) >= 60


async def test_nothing_is_written_to_a_client_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    set_fast_paths(monkeypatch, "write_coalescing")
    connection = Connection()
    connection.protocol.transport.write(b"late")
    connection.protocol.connection_lost(ConnectionResetError())
    await asyncio.sleep(0)
    assert connection.transport.written == b""
