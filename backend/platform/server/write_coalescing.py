"""Accelerator `write_coalescing`: sends what one iteration of the event loop writes to a connection in one system call.

Leans on no internals: it has asyncio's interface of a transport, and passes on what it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from backend.platform.server.transport import LingeringTransport
from backend.platform.settings.fast_paths import is_on

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport

__all__ = ["CoalescingTransport", "wrap_transport"]

_HIGH_WATER_BYTES = 64 * 1024
"""Pending bytes; beyond it they are sent at once, so that a slow reader is noticed while a response is made."""


def wrap_transport(transport: Transport, loop: AbstractEventLoop) -> LingeringTransport:
    """Return the transport that a protocol writes to: one that coalesces writes, where the accelerator is on.

    Args:
        transport: The connection's.
        loop: Runs it.
    """
    return (CoalescingTransport if is_on("write_coalescing") else LingeringTransport)(transport, loop)


class CoalescingTransport(LingeringTransport):
    """Collects writes until the end of the event loop's iteration.

    uvicorn writes the head and the body of a response one after the other, and uvloop makes a system call of
    each: for a small response the most expensive step (docs/decisions/0029-write-coalescing.md).

    Args:
        transport: The connection's.
        loop: Runs it.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        super().__init__(transport, loop)
        self._pending: list[bytes | bytearray | memoryview] = []
        self._size = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)
        self._size += len(data)
        if self._size > _HIGH_WATER_BYTES:
            self.flush()

    @override
    def flush(self) -> None:
        if pending := self._take():
            self._transport.write(pending)

    @override
    def abort(self) -> None:
        self._take()
        super().abort()

    @override
    def get_write_buffer_size(self) -> int:
        return self._size + super().get_write_buffer_size()

    def _take(self) -> bytes:
        pending = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return pending
