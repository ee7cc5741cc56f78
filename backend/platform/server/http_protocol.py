"""The HTTP protocol of a worker: uvicorn's, with the framing of RFC 9112 and bounds on all that a client sends."""

from asyncio import TimerHandle, Transport
from functools import partial
from typing import override

import httptools
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from backend.platform.server.request_validation import RefusedRequest, validate_request
from backend.platform.server.transport import LingeringTransport
from backend.platform.server.write_coalescing import wrap_transport

__all__ = ["HEADER_READ_TIMEOUT_SECONDS", "MAX_HEADER_BYTES", "BoundedHttpProtocol"]

MAX_HEADER_BYTES = 32 * 1024
"""Largest request line and headers together, in bytes; beyond it 431 (RFC 6585 §5)."""

HEADER_READ_TIMEOUT_SECONDS = 10.0
"""Longest time from the first byte of a connection, or of its next request, to the end of the headers."""

FRAMING_MAX_BYTES = 32 * 1024
"""Chunk extensions and trailer fields of a body together, in bytes; beyond it 413."""

_FRAMING_FACTOR = 8
"""Bytes sent for each byte of content: chunks of one byte take six."""

DRAIN_MAX_BYTES = 16 * 1024 * 1024
"""Bytes of a request that are read and dropped after its response; beyond it the connection is reset."""

DRAIN_TIMEOUT_SECONDS = 15.0
"""Longest time in which they are; beyond it the connection is reset."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Gives each request one response, its own body, and a bound for every byte.

    uvicorn sets no bound on heads, chunk extensions, trailer fields and what follows an early response. It takes
    trailer fields for headers, and the body of a request with `Upgrade` for the next request. It answers
    a malformed request at once, before the responses of requests that were sent earlier.
    """

    _in_body = False
    """Between the end of a head and the end of its message."""
    _received = 0
    """Bytes since the end of the last message or, in a body, of its head; the first packet's are not counted."""
    _read = 0
    """Bytes of the last packet."""
    _content = 0
    _drained = 0
    _is_refused = False
    _timer: TimerHandle | None = None
    _wrapped: LingeringTransport

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # narrowed by uvicorn too
        self._wrapped = wrap_transport(transport, self.loop)
        super().connection_made(self._wrapped)
        self._start_timer(HEADER_READ_TIMEOUT_SECONDS)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._wrapped.abort()  # drops what is not sent yet
        super().connection_lost(exc)

    @override
    def eof_received(self) -> None:
        # After a half-close the client still reads, and the loop closes the connection next.
        self._wrapped.flush()
        super().eof_received()

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        self._read = len(data)
        if self._is_refused or self._wrapped.is_lingering:
            self._drop()
            return
        self._unset_keepalive_if_required()
        self._received += self._read
        try:
            head_end = self._feed(data)
            while head_end is not None:
                data = memoryview(data)[head_end:]
                self._feed_head_without_upgrade()
                head_end = self._feed(data)
        except httptools.HttpParserError as error:
            refused = error.__context__
            self._refuse(refused.status if isinstance(refused, RefusedRequest) else 400)
            return
        # Most requests come whole, and nothing is left to bound.
        if self._in_body or self._received:
            self._check_bounds()

    @override
    def shutdown(self) -> None:
        self._wrapped.lingers = False
        super().shutdown()

    @override
    def timeout_keep_alive_handler(self) -> None:
        self._wrapped.lingers = self._in_body
        super().timeout_keep_alive_handler()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip()))

    @override
    def on_headers_complete(self) -> None:
        method = self.parser.get_method()
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise RefusedRequest(501)
            return  # fed once more without its Upgrade
        if max(self._received, self._read) > MAX_HEADER_BYTES:
            self._check_size()
        version = self.parser.get_http_version()
        self.url, self.expect_100_continue = validate_request(method, self.url, version, self.headers)
        super().on_headers_complete()
        self.headers = []  # takes the trailer fields, which nothing reads (RFC 9110 §6.5.1)
        self._stop_timer()
        self._in_body = True
        self._received = self._content = 0

    @override
    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._in_body:  # else a head that is fed once more
            self._stop_timer()
            self._in_body = False
            self._received = self._drained = 0
            super().on_message_complete()

    def _feed(self, data: bytes | memoryview) -> int | None:
        """Parse a packet; return where it stopped, at the end of the head of a request with `Upgrade`."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            return int(pause.args[0])
        return None

    def _feed_head_without_upgrade(self) -> None:
        """Parse the last head once more, as if it had no `Upgrade` (RFC 9110 §7.8), so that its body is its own."""
        first = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"".join([first, *fields, b"\r\n"]))

    def _check_size(self) -> None:
        # The packet may hold more than the head.
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            raise RefusedRequest(431)

    def _check_bounds(self) -> None:
        if not self._in_body:
            if self._received > MAX_HEADER_BYTES:
                self._refuse(431)
            elif self._timer is None:
                self._start_timer(HEADER_READ_TIMEOUT_SECONDS)
        elif self._received > FRAMING_MAX_BYTES + _FRAMING_FACTOR * self._content:
            self._refuse(413)
        elif self.cycle.response_complete:
            if self._timer is None:
                self._start_timer(DRAIN_TIMEOUT_SECONDS)
            self._drop()

    def _drop(self) -> None:
        self._drained += self._read
        if self._drained > DRAIN_MAX_BYTES:
            self._wrapped.abort()

    def _start_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._is_answering() and not self._in_body:
            # Reading may have stopped, until earlier requests have their responses.
            self._start_timer(HEADER_READ_TIMEOUT_SECONDS)
        else:
            self._wrapped.abort()

    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _refuse(self, status: int) -> None:
        """Answer the request that is being received with an error, after those before it, and close the connection.

        Args:
            status: 400 to 505.
        """
        self._is_refused = True
        self._stop_timer()
        self.logger.warning("HTTP request refused with %d.", status)
        cycle = self.cycle
        if not self._is_answering():
            self._end(None if self._in_body else status)
        elif not self._in_body:
            cycle.on_response = partial(self._end, status)
        elif self.pipeline:  # the request waits for an earlier one's response
            self.pipeline[0] = (cycle, partial(_respond, status))
        elif cycle.response_started:
            cycle.keep_alive = False
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            self._end(status)

    def _end(self, status: int | None) -> None:
        """Send an error, unless the request has its response or the connection is closed, and close the connection."""
        if self._wrapped.is_closing():
            return
        if status is not None:
            headers = [
                *self.server_state.default_headers,
                (b"content-length", b"0"),
                (b"connection", b"close"),
            ]
            fields = (b"%b: %b\r\n" % field for field in headers)
            self._wrapped.write(b"".join([STATUS_LINE[status], *fields, b"\r\n"]))
        self._wrapped.close()


async def _respond(status: int, _scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
