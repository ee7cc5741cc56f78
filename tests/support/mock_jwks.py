"""A key server without a socket; `jwks_server` has a real one."""

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.tokens import KeyPair

__all__ = ["MockJwksServer"]


class MockJwksServer:
    """Responds to the key set's client.

    Attributes:
        fetches: Number of requests.
        paths: The path of each request.
        error: Raised instead of a response, if it is set.
        asked: Set by the first request.
        may_respond: While it is not set, requests wait.
    """

    url = "http://frontend.example"

    def __init__(self, *keys: KeyPair | dict[str, Any]) -> None:
        self.paths: list[str] = []
        self.error: Exception | None = None
        self.asked = asyncio.Event()
        self.may_respond = asyncio.Event()
        self.may_respond.set()
        self.publish(*keys)

    @property
    def fetches(self) -> int:
        return len(self.paths)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make every new client of httpx call this server."""
        client = partial(httpx.AsyncClient, transport=httpx.MockTransport(self._respond))
        monkeypatch.setattr(httpx, "AsyncClient", client)

    def publish(self, *keys: KeyPair | dict[str, Any]) -> None:
        """Respond with these keys from now on."""
        listed = [key.jwk() if isinstance(key, KeyPair) else key for key in keys]
        self.answer(json.dumps({"keys": listed}).encode())

    def answer(self, body: bytes, *, status: int = 200) -> None:
        """Respond with this from now on."""
        self._body, self._status = body, status

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        self.asked.set()
        await self.may_respond.wait()
        if self.error is not None:
            raise self.error
        # A stream: the client limits the size of the raw body.
        return httpx.Response(self._status, stream=httpx.ByteStream(self._body))
