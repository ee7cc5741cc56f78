"""A transport around a connection's transport, which closes in stages (RFC 9112 §9.6)."""

from __future__ import annotations

import contextlib
from asyncio import Transport
from typing import TYPE_CHECKING, Any, override

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, BaseProtocol
    from collections.abc import Iterable

__all__ = ["LINGER_SECONDS", "LingeringTransport"]

LINGER_SECONDS = 2.0
"""Longest time between the end of the last response and the reset of a connection whose client still sends."""


class LingeringTransport(Transport):
    """Closes a connection in stages, and passes every other call on.

    To close at once resets a connection whose client still sends, and the client may lose the response.

    Args:
        transport: The connection's.
        loop: Runs it.

    Attributes:
        lingers: Whether `close` closes in stages. An idle connection needs none.
        is_lingering: Whether the connection is closed for writing, and received data is to be dropped.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.lingers = True
        self.is_lingering = False

    def __getattr__(self, name: str) -> Any:
        """Return what asyncio's interface does not have, such as uvloop's own attributes."""
        return getattr(self._transport, name)

    def flush(self) -> None:
        """Send at once what was written and is not sent yet."""

    @override
    def is_closing(self) -> bool:
        return self.is_lingering or self._transport.is_closing()

    @override
    def close(self) -> None:
        self.flush()
        if self.lingers and not self.is_closing() and self._transport.can_write_eof():
            self.is_lingering = True
            with contextlib.suppress(OSError):  # the client has reset it; the loop reports that next
                self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.abort)
        else:
            self._transport.close()

    @override
    def abort(self) -> None:
        self._transport.abort()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    @override
    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    @override
    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    @override
    def get_protocol(self) -> BaseProtocol:
        return self._transport.get_protocol()

    @override
    def set_protocol(self, protocol: BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    @override
    def is_reading(self) -> bool:
        return self._transport.is_reading()

    @override
    def pause_reading(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @override
    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    @override
    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_limits()

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)
