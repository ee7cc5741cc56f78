"""The HTTP protocol of a worker: uvicorn's, with bounds on the head of a request that it lacks."""

from asyncio import TimerHandle, Transport
from typing import override

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from backend.process.joining_transport import JoiningTransport

__all__ = ["HEAD_MAX_BYTES", "HEAD_TIMEOUT_SECONDS", "BoundedHttpProtocol"]

HEAD_MAX_BYTES = 32 * 1024
"""Largest request line and headers together, in bytes; beyond it 431 (RFC 6585 §5)."""

HEAD_TIMEOUT_SECONDS = 10.0
"""Longest time from the first byte of a connection, or of its next request, to the end of the headers."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request's head is too large, too slow, or of no certain host.

    httptools takes heads of any size and uvicorn has no time limit on them: a few hundred
    connections that send a byte now and then would hold a worker's memory and descriptors.
    Neither looks at Host, on whose second value a proxy and the service could disagree.
    """

    _head_is_open = True
    _head_bytes = 0
    _head_timer: TimerHandle | None = None
    _joining: JoiningTransport

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # narrowed by uvicorn too
        self._joining = JoiningTransport(transport, self.loop)
        super().connection_made(self._joining)  # type: ignore[arg-type]  # what uvicorn uses of one
        self._start_timer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._joining.abort()  # nobody is there for what waits
        super().connection_lost(exc)

    @override
    def eof_received(self) -> None:
        # Who has sent all still reads; the loop closes the connection next, behind the joining transport's back.
        self._joining.flush()
        super().eof_received()

    @override
    def data_received(self, data: bytes) -> None:
        if self._head_is_open:
            self._head_bytes += len(data)
            # What comes with the end of the head may be body; only a head still open is too large.
            if self._head_bytes > HEAD_MAX_BYTES and b"\r\n\r\n" not in data:
                self._refuse_head()
                return
        super().data_received(data)
        # Most heads come whole, and need no timer.
        if self._head_is_open and self._head_timer is None:
            self._start_timer()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._head_is_open:
            self._head_is_open = True
            self._head_bytes = 0

    @override
    def on_headers_complete(self) -> None:
        self._end_head()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            # RFC 9112 §3.2. httptools turns it into the error that uvicorn answers with 400.
            raise ValueError(f"{hosts} Host headers")
        super().on_headers_complete()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._expire)

    def _end_head(self) -> None:
        self._head_is_open = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _expire(self) -> None:
        self._head_timer = None
        self.transport.abort()

    def _refuse_head(self) -> None:
        self._end_head()
        self.transport.write(STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
