"""A key server on 127.0.0.1 that counts fetches and can rotate, fail, hang, redirect and go away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.support.tokens import KeyPair

__all__ = ["JwksServer", "running_jwks_server"]

type Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class JwksServer:
    """Answers every request with what it was last told to."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._answer: Answer = self._give(200, b'{"keys":[]}')
        self._connections: set[asyncio.StreamWriter] = set()
        self.fetches = 0
        self.paths: list[str] = []
        self.asked = asyncio.Event()
        self.url = ""

    def publish(self, *keys: KeyPair | dict[str, Any]) -> None:
        """Answer with these keys from now on."""
        listed = [key.jwk() if isinstance(key, KeyPair) else key for key in keys]
        self.answer(json.dumps({"keys": listed}).encode())

    def answer(self, body: bytes, *, status: int = 200, headers: str = "") -> None:
        """Answer with this."""
        self._answer = self._give(status, body, headers)

    def hang(self) -> None:
        """Begin an answer, and never end it."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"keys":')
            await writer.wait_closed()

        self._answer = answer

    def drip(self) -> None:
        """Send a byte now and then, each soon enough for a client that limits only its reads."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await asyncio.sleep(0.02)

        self._answer = answer

    def flood(self) -> None:
        """Send a body without end."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" " * 65536)
                await writer.drain()

        self._answer = answer

    def wait_for(self, event: asyncio.Event) -> None:
        """Hold each answer back until the event."""
        answer_then = self._answer

        async def answer(writer: asyncio.StreamWriter) -> None:
            await event.wait()
            await answer_then(writer)

        self._answer = answer

    async def come(self) -> None:
        """Listen, on the same port as before if there was one."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def go(self) -> None:
        """Close the port, so that connections are refused."""
        if self._server is not None:
            self._server.close()
            for writer in self._connections:
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.fetches += 1
            self.paths.append(request.split()[1].decode())
            self.asked.set()
            await self._answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _give(self, status: int, body: bytes, headers: str = "") -> Answer:
        async def answer(writer: asyncio.StreamWriter) -> None:
            head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
            writer.write(head.encode() + body)

        return answer


@contextlib.asynccontextmanager
async def running_jwks_server(*keys: KeyPair | dict[str, Any]) -> AsyncIterator[JwksServer]:
    """Run a server that publishes these keys."""
    server = JwksServer()
    server.publish(*keys)
    await server.come()
    try:
        yield server
    finally:
        await server.go()
