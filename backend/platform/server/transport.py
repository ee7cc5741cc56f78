"""A transport wrapper that closes a connection in stages (RFC 9112 §9.6, lingering close)."""

from __future__ import annotations

import contextlib
from asyncio import Transport
from typing import TYPE_CHECKING, Any, override

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, BaseProtocol
    from collections.abc import Iterable

__all__ = ["LINGER_SECONDS", "LingeringTransport"]

LINGER_SECONDS = 2.0
"""Maximum time between the end of the last response and the reset of a connection whose client still sends."""


class LingeringTransport(Transport):
    """Closes a connection in stages, and passes every other call on to the wrapped transport.

    An immediate close resets a connection whose client still sends, and the client may lose the response.

    Args:
        transport: The transport of the connection.
        loop: The event loop of the transport.

    Attributes:
        lingers: Whether `close` closes in stages. An idle connection does not need it.
        is_lingering: Whether the connection is closed for writing, so that received data is discarded.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.lingers = True
        self.is_lingering = False

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that is not part of asyncio's interface, such as those of uvloop."""
        return getattr(self._transport, name)

    def flush(self) -> None:
        """Send buffered data now."""

    @override
    def is_closing(self) -> bool:
        return self.is_lingering or self._transport.is_closing()

    @override
    def close(self) -> None:
        self.flush()
        if self.lingers and not self.is_closing() and self._transport.can_write_eof():
            self.is_lingering = True
            with contextlib.suppress(
                OSError
            ):  # the client has reset the connection, which the event loop reports next
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
