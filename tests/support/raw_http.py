"""Bytes to a socket and back, for what no proper client sends."""

import asyncio
from urllib.parse import urlsplit

__all__ = ["exchange", "status_of"]


async def exchange(url: str, *parts: bytes, half_close: bool = False) -> bytes:
    """Send bytes and return all that comes back until the server closes, or falls silent.

    Args:
        url: Of the service.
        parts: Each is sent on its own.
        half_close: Say after them that no more will come.
    """
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    received = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if half_close:
            writer.write_eof()
        # An answer is there within milliseconds; a kept-alive connection then stays silent.
        while chunk := await asyncio.wait_for(reader.read(65536), 0.7):
            received += chunk
    except (TimeoutError, ConnectionResetError, BrokenPipeError):
        pass
    finally:
        writer.close()
    return received


def status_of(answer: bytes) -> int | None:
    """Return the status of the first answer, None where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None
