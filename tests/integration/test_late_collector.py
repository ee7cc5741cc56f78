"""Spans arrive at a collector that starts after the service, and no request waits for it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.support.waiting import scaled, timeout
from tests.support.workers import Workers, free_port, run_workers


@contextlib.asynccontextmanager
async def collector(port: int) -> AsyncIterator[asyncio.Queue[bytes]]:
    """Take OTLP over HTTP and hand on the bodies."""
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                received.put_nowait(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield received
    finally:
        server.close()


async def ask(workers: Workers) -> float:
    """Return the seconds of one request."""
    started = time.perf_counter()
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{workers.url}/api/alice/tasks", headers=workers.authorization("alice"), timeout=scaled(10)
        )
    assert answer.status_code == 200
    return time.perf_counter() - started


async def test_spans_arrive_after_the_collector_has_started(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "otel_exporter_otlp_endpoint": f"http://127.0.0.1:{port}",
        "otel_exporter_otlp_compression": "none",
        "otel_bsp_schedule_delay": "200",
    }
    async with run_workers(tmp_path, database_url, **settings) as workers:
        alone = [await ask(workers) for _ in range(10)]
        async with collector(port) as received, timeout(40):
            body, accompanied = b"", []
            while b"list tasks" not in body:
                accompanied.append(await ask(workers))
                with contextlib.suppress(TimeoutError):
                    body = await asyncio.wait_for(received.get(), 1)
        # An export without a collector takes many seconds to give up.
        assert median(alone) < 100 * median(accompanied)
        assert await workers.stop() == 0
