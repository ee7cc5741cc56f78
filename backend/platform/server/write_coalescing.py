"""Accelerator `write_coalescing`: one system call for all writes to a connection in one event-loop iteration.

Uses no internals: it implements asyncio's transport interface, and passes other attributes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from backend.platform.server.transport import LingeringTransport
from backend.platform.settings.fast_paths import is_on

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport

__all__ = ["CoalescingTransport", "wrap_transport"]

_HIGH_WATER_BYTES = 64 * 1024
"""Size of the buffer beyond which it is flushed at once, so that a slow reader causes backpressure during a response."""


def wrap_transport(transport: Transport, loop: AbstractEventLoop) -> LingeringTransport:
    """Return the transport that a protocol writes to. It coalesces writes if the accelerator is on.

    Args:
        transport: The transport of the connection.
        loop: The event loop of the transport.
    """
    return (CoalescingTransport if is_on("write_coalescing") else LingeringTransport)(transport, loop)


class CoalescingTransport(LingeringTransport):
    """Buffers writes until the end of the event-loop iteration.

    uvicorn writes the headers and the body of a response separately, and uvloop makes a system call for each write.
    For a small response this is the most expensive step (docs/decisions/0029-write-coalescing.md).

    Args:
        transport: The transport of the connection.
        loop: The event loop of the transport.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        super().__init__(transport, loop)
        self._buffer: list[bytes | bytearray | memoryview] = []
        self._buffer_size = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._buffer:
            self._loop.call_soon(self.flush)
        self._buffer.append(data)
        self._buffer_size += len(data)
        if self._buffer_size > _HIGH_WATER_BYTES:
            self.flush()

    @override
    def flush(self) -> None:
        if data := self._take_buffer():
            self._transport.write(data)

    @override
    def abort(self) -> None:
        self._take_buffer()
        super().abort()

    @override
    def get_write_buffer_size(self) -> int:
        return self._buffer_size + super().get_write_buffer_size()

    def _take_buffer(self) -> bytes:
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._buffer_size = 0
        return data
