"""The HTTP protocol of a worker: uvicorn's, with the framing of RFC 9112 and limits on all input of a client."""

from asyncio import TimerHandle, Transport
from functools import partial
from typing import override

import httptools
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from backend.platform.server.request_validation import RejectedRequest, validate_request
from backend.platform.server.transport import LingeringTransport
from backend.platform.server.write_coalescing import wrap_transport

__all__ = ["HEADER_READ_TIMEOUT_SECONDS", "MAX_HEADER_BYTES", "BoundedHttpProtocol"]

MAX_HEADER_BYTES = 32 * 1024
"""Maximum size of request line and headers together, in bytes. A larger one gets 431 (RFC 6585 §5)."""

HEADER_READ_TIMEOUT_SECONDS = 10.0
"""Maximum time from the start of a connection, or from the first byte of its next request, to the end of the headers."""

MAX_FRAMING_BYTES = 32 * 1024
"""Maximum size of chunk extensions and trailer fields of a body together, in bytes. A larger one gets 413."""

_FRAMING_FACTOR = 8
"""Allowed bytes on the wire per byte of content; a chunk of one byte takes six."""

MAX_DISCARD_BYTES = 16 * 1024 * 1024
"""Maximum bytes of a request that are read and discarded after its response. Then the connection is reset."""

DISCARD_TIMEOUT_SECONDS = 15.0
"""Maximum time of this discarding. Then the connection is reset."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Frames requests by RFC 9112, limits the size and time of all input, and keeps the order of responses.

    uvicorn does not limit headers, chunk extensions, trailer fields, and input after an early response. It adds
    trailer fields to the headers, and parses the body of a request with `Upgrade` as the next request. It rejects
    a malformed request at once, before the responses to earlier pipelined requests.
    """

    _in_body = False
    """Whether the headers of a message are complete and its body is not."""
    _received = 0
    """Bytes since the last message or, in a body, since its headers, without the packet that had their end."""
    _packet_size = 0
    _content_size = 0
    _discarded = 0
    _is_rejected = False
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
        self._wrapped.abort()  # discards unsent data
        super().connection_lost(exc)

    @override
    def eof_received(self) -> None:
        # After a half-close the client still reads: flush, because the event loop closes the connection next.
        self._wrapped.flush()
        super().eof_received()

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        self._packet_size = len(data)
        if self._is_rejected or self._wrapped.is_lingering:
            self._discard_packet()
            return
        self._unset_keepalive_if_required()
        self._received += self._packet_size
        try:
            headers_end = self._feed(data)
            while headers_end is not None:
                data = memoryview(data)[headers_end:]
                self._feed_headers_without_upgrade()
                headers_end = self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._reject(cause.status if isinstance(cause, RejectedRequest) else 400)
            return
        # Most requests arrive in one packet and need no check.
        if self._in_body or self._received:
            self._check_limits()

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
                raise RejectedRequest(501)
            return  # data_received feeds the headers again, without Upgrade
        if max(self._received, self._packet_size) > MAX_HEADER_BYTES:
            self._check_header_size()
        version = self.parser.get_http_version()
        self.url, self.expect_100_continue = validate_request(method, self.url, version, self.headers)
        super().on_headers_complete()
        self.headers = []  # collects the trailer fields, which are ignored (RFC 9110 §6.5.1)
        self._stop_timer()
        self._in_body = True
        self._received = self._content_size = 0

    @override
    def on_body(self, body: bytes) -> None:
        self._content_size += len(body)
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._in_body:  # else the headers are fed again
            self._stop_timer()
            self._in_body = False
            self._received = self._discarded = 0
            super().on_message_complete()

    def _feed(self, data: bytes | memoryview) -> int | None:
        """Parse a packet. Return the end of the headers if the parser stops there, for a request with `Upgrade`."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            return int(pause.args[0])
        return None

    def _feed_headers_without_upgrade(self) -> None:
        """Parse the last headers again without `Upgrade` (RFC 9110 §7.8), so that the body belongs to this request."""
        request_line = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # same as uvicorn
        self.parser.feed_data(b"".join([request_line, *fields, b"\r\n"]))

    def _check_header_size(self) -> None:
        # The packet may contain more than the headers.
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            raise RejectedRequest(431)

    def _check_limits(self) -> None:
        if not self._in_body:
            if self._received > MAX_HEADER_BYTES:
                self._reject(431)
            elif self._timer is None:
                self._start_timer(HEADER_READ_TIMEOUT_SECONDS)
        elif self._received > MAX_FRAMING_BYTES + _FRAMING_FACTOR * self._content_size:
            self._reject(413)
        elif self.cycle.response_complete:
            if self._timer is None:
                self._start_timer(DISCARD_TIMEOUT_SECONDS)
            self._discard_packet()

    def _discard_packet(self) -> None:
        self._discarded += self._packet_size
        if self._discarded > MAX_DISCARD_BYTES:
            self._wrapped.abort()

    def _start_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._is_responding() and not self._in_body:
            # Reading may be paused until earlier requests have their responses.
            self._start_timer(HEADER_READ_TIMEOUT_SECONDS)
        else:
            self._wrapped.abort()

    def _is_responding(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _reject(self, status: int) -> None:
        """Respond to the incoming request with an error, after earlier responses, and close the connection.

        Args:
            status: Status of the error, 400 to 505.
        """
        self._is_rejected = True
        self._stop_timer()
        self.logger.warning("HTTP request rejected with status %d.", status)
        cycle = self.cycle
        if not self._is_responding():
            self._close_after(None if self._in_body else status)
        elif not self._in_body:
            cycle.on_response = partial(self._close_after, status)
        elif self.pipeline:  # the request waits for the response to an earlier one
            self.pipeline[0] = (cycle, partial(_respond, status))
        elif cycle.response_started:
            cycle.keep_alive = False
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            self._close_after(status)

    def _close_after(self, status: int | None) -> None:
        """Close the connection, after an error response if `status` is given."""
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
