"""Keep-alive clients, and a proxy that is as far away as a load balancer in front."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Load", "Proxy", "run_load", "run_proxy"]

_LATENCY_SECONDS = 0.010


class Proxy:
    """Passes bytes on, each way ten milliseconds later; new connections go to `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client."""
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))


@dataclass
class Load:
    """What clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    running: bool = True


@contextlib.asynccontextmanager
async def run_proxy(target: int) -> AsyncIterator[Proxy]:
    """Listen until the block ends."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


@contextlib.asynccontextmanager
async def run_load(port: int, headers: Mapping[str, str], path: str, *, clients: int) -> AsyncIterator[Load]:
    """Send requests, reading and creating by turns, over as many keep-alive connections until the block ends."""
    load = Load()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    body = b'{"title":"x"}'
    post = f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    get = f"GET {path}?limit=5 HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
    requests = (get.encode(), post.encode() + body)
    tasks = [asyncio.create_task(_client(port, requests, load)) for _ in range(clients)]
    try:
        yield load
    finally:
        load.running = False
        await asyncio.gather(*tasks)


async def _client(port: int, requests: tuple[bytes, ...], load: Load) -> None:
    while load.running:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await _talk(reader, writer, requests, load)
        except (OSError, asyncio.IncompleteReadError) as error:
            load.lost.append(repr(error))
        finally:
            writer.close()


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: tuple[bytes, ...], load: Load
) -> None:
    while load.running:
        for request in requests:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            load.statuses[int(head[9:12])] += 1
            if b"connection: close" in head:
                return


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            loop.call_later(_LATENCY_SECONDS, writer.write, data)
    loop.call_later(_LATENCY_SECONDS, writer.close)
