"""Keep-alive clients that count every request, and a proxy that is as far away as a load balancer in front.

Needs the standard library only: as text it also runs inside a cluster, `python -c … HOST PORT PATH CLIENTS TOKEN`,
until its input ends, and then prints what the clients saw.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

__all__ = ["Answer", "Load", "Proxy", "recovery", "run_load", "run_proxy"]

_LATENCY_SECONDS = 0.010


class Proxy:
    """Passes bytes on, each way ten milliseconds later; new connections go to `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client."""
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def end(self) -> None:
        """Cut every connection."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))
        except asyncio.CancelledError:
            writer.close()
            upstream_writer.close()
            raise


class Answer(NamedTuple):
    """A response, and when it came (`time.time`)."""

    time: float
    method: str
    status: int
    has_retry_after: bool


@dataclass
class Load:
    """What clients saw.

    `lost` has each request without an answer, `acknowledged` the title of each task whose creation was answered
    with 201, `seconds` how long each answer took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    running: bool = True


def recovery(answers: Sequence[Answer], promoted: float) -> str:
    """Return the longest time without a success and the last failure of each method, in seconds after a promotion.

    Args:
        answers: In order.
        promoted: `time.time` of the promotion.
    """
    parts = []
    for method in ("GET", "POST"):
        succeeded, failed = (
            [a.time - promoted for a in answers if a.method == method and (a.status >= 400) == is_failure]
            for is_failure in (False, True)
        )
        start, end = max(itertools.pairwise(succeeded), key=lambda pair: pair[1] - pair[0])
        last = max(failed, default=start)
        parts.append(f"{method}: no success from {start:.1f} s to {end:.1f} s, last failure at {last:.1f} s")
    return "; ".join(parts)


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
        await proxy.end()


@contextlib.asynccontextmanager
async def run_load(
    port: int,
    headers: Mapping[str, str],
    path: str,
    *,
    clients: int,
    host: str = "127.0.0.1",
    pause_seconds: float = 0.0,
) -> AsyncIterator[Load]:
    """Send requests, reading and creating by turns, over as many keep-alive connections until the block ends.

    Args:
        port: To connect to.
        headers: Of each request; `Host` too, where it matters.
        path: Of a user's tasks.
        clients: How many connections.
        host: To connect to.
        pause_seconds: Between an answer and the connection's next request.
    """
    load = Load()
    lines = "".join(f"{name}: {value}\r\n" for name, value in ({"Host": host} | dict(headers)).items())
    target = _Target(host, port, path, lines, pause_seconds)
    clients_running = [asyncio.create_task(_client(target, load)) for _ in range(clients)]
    try:
        yield load
    finally:
        load.running = False
        await asyncio.gather(*clients_running)


@dataclass(frozen=True)
class _Target:
    host: str
    port: int
    path: str
    lines: str
    pause_seconds: float


async def _client(target: _Target, load: Load) -> None:
    methods = itertools.cycle(("GET", "POST"))
    while load.running:
        try:
            reader, writer = await asyncio.open_connection(target.host, target.port)
        except OSError as error:
            load.lost.append(f"connect: {error!r}")
            await asyncio.sleep(0.1)  # else a refused port would fill the list
            continue
        try:
            is_kept = True
            while is_kept and load.running:
                is_kept = await _ask(next(methods), reader, writer, target, load)
                await asyncio.sleep(target.pause_seconds)
        except (OSError, asyncio.IncompleteReadError) as error:
            load.lost.append(repr(error))
        finally:
            writer.close()


async def _ask(
    method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: _Target, load: Load
) -> bool:
    """Send one request, count its answer, and tell whether the connection is kept."""
    title = uuid4().hex
    if method == "GET":
        request = f"GET {target.path}?limit=5 HTTP/1.1\r\n{target.lines}\r\n"
    else:
        body = json.dumps({"title": title})
        json_lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        request = f"POST {target.path} HTTP/1.1\r\n{target.lines}{json_lines}\r\n{body}"
    started = time.perf_counter()
    writer.write(request.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    load.seconds.append(time.perf_counter() - started)
    status = int(head[9:12])
    load.statuses[status] += 1
    load.answers.append(Answer(time.time(), method, status, b"\r\nretry-after:" in head))
    if status == 201:
        load.acknowledged.append(title)
    return b"connection: close" not in head


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            loop.call_later(_LATENCY_SECONDS, writer.write, data)
    loop.call_later(_LATENCY_SECONDS, writer.close)


async def _main(host: str, port: str, path: str, clients: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with run_load(
        int(port), headers, path, clients=int(clients), host=host, pause_seconds=0.02
    ) as load:
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({**vars(load), "running": None}))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
