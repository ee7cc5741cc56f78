"""A connection's transport that writes once for each turn of the event loop."""

import contextlib
from asyncio import AbstractEventLoop, Transport

__all__ = ["LINGER_SECONDS", "CoalescingTransport"]

_HIGH_WATER_BYTES = 64 * 1024
"""That wait; more goes out at once, so that a slow reader is noticed while an answer is made."""

LINGER_SECONDS = 2.0
"""Longest time between the end of the last response and the reset of a connection whose client still sends."""


class CoalescingTransport:
    """Writes to a connection at once what one turn of the event loop has for it.

    uvicorn writes head and body of an answer one after the other, and uvloop makes a system call of
    each: for a small answer the dearest thing that a worker does (docs/decisions/0029-write-coalescing.md).

    Args:
        transport: The connection's.
        loop: Runs it.

    Attributes:
        lingers: Whether `close` closes in stages (RFC 9112 §9.6). To close at once resets the connection
            if the client still sends, and it may lose the response. An idle connection needs no stages.
        is_lingering: Whether the connection is closed for writing, and what arrives is to be dropped.
    """

    __slots__ = (
        "_loop",
        "_size",
        "_transport",
        "_waiting",
        "get_extra_info",
        "is_lingering",
        "lingers",
        "pause_reading",
        "resume_reading",
    )

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0
        self.lingers = True
        self.is_lingering = False
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send this, with all else that is written in this turn."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _HIGH_WATER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what waits now."""
        if waiting := self._take():
            self._transport.write(waiting)

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, once all that was written is sent."""
        self.flush()
        if self.lingers and not self.is_closing() and self._transport.can_write_eof():
            self.is_lingering = True
            with contextlib.suppress(OSError):  # the client has reset it; the loop is told next
                self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.abort)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._take()
        self._transport.abort()

    def _take(self) -> bytes:
        waiting = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return waiting
