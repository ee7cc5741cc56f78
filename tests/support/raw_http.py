"""Bytes to a socket and back, for what no proper client sends."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlsplit

from tests.support.waiting import scaled

__all__ = ["exchange", "exchange_all", "open_connection", "read_answer", "status_of", "statuses_of"]


@contextlib.asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to a service."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers by their names in lower case, and body of one answer with a length."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[:-1]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def exchange(url: str, request: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and return all that comes back until the server closes, or falls silent.

    Args:
        url: Of the service.
        request: What to send.
        half_close: Say behind it that no more will come.
    """
    received = b""
    async with open_connection(url) as (reader, writer):
        with contextlib.suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
            writer.write(request)
            await writer.drain()
            if half_close:
                writer.write_eof()
            # The first answer may take a while on a busy machine; behind it a silence is the end.
            while chunk := await asyncio.wait_for(reader.read(65536), 0.2 if received else 20):
                received += chunk
    return received


async def exchange_all(url: str, parts: Iterable[bytes]) -> bytes:
    """Send parts, each as a packet of its own, and return all that comes back until the server closes.

    Args:
        url: Of the service.
        parts: What to send. The last request asks the server to close the connection.
    """
    async with open_connection(url) as (reader, writer):

        async def send() -> None:
            with contextlib.suppress(ConnectionError):  # the server may close before the end
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        try:
            return await asyncio.wait_for(reader.read(), scaled(60))
        finally:
            sending.cancel()


def status_of(answer: bytes) -> int | None:
    """Return the status of the first answer, None where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def statuses_of(received: bytes) -> list[int]:
    """Return the statuses of all responses, `100 Continue` among them."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]
