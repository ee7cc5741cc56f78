"""The frontend's key set: fetched when it is needed, refreshed in the background, kept when a fetch fails."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httpx
import structlog
from jose.backends.base import Key
from jose.exceptions import JWKError

from backend.auth.algorithms import algorithm_of, public_key
from backend.errors import SigningKeysUnavailable

__all__ = ["KeySet", "SigningKey"]

_MAX_BYTES: Final = 256 * 1024
_BUCKET_SIZE: Final = 3.0
_BUCKET_SECONDS: Final = 5.0
"""An unknown key id may cause a fetch: three at once, then one in five seconds. A plain cool-down would
let anyone delay a real rotation with made-up ids."""

_log = structlog.get_logger()


class SigningKey(NamedTuple):
    """A key, and the one algorithm that it is for."""

    algorithm: str
    key: Key


class KeySet:
    """The keys of one JWKS address (RFC 7517).

    Args:
        url: Where the key set is.
        timeout_seconds: Longest fetch, from connecting to the last byte.
        refresh_seconds: How often it is fetched anew, so that retired keys go.
    """

    def __init__(self, url: str, *, timeout_seconds: float, refresh_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str, SigningKey] = {}
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._tokens = _BUCKET_SIZE
        self._tokens_at = time.monotonic()
        self.last_success: float | None = None
        """When a fetch last succeeded, in seconds of `time.time()`."""
        self.failed_refreshes = 0

    async def start(self) -> None:
        """Refresh in the background from now on; the key server need not be there."""
        self._refreshing = asyncio.create_task(self._refresh_forever(), name="refresh-key-set")

    async def stop(self) -> None:
        """End the background refresh."""
        for task in (self._refreshing, self._fetching):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key of this id, fetching the set where it is not known yet.

        Raises:
            SigningKeysUnavailable: No key set was ever fetched, and none can be now.
        """
        if key := self._keys.get(key_id):
            return key
        if self._may_fetch():
            await self._fetch_once()
        elif self._fetching is not None:
            await asyncio.shield(self._fetching)
        if self.last_success is None:
            raise SigningKeysUnavailable(
                "The frontend's signing keys cannot be fetched right now. Try again later."
            )
        return self._keys.get(key_id)

    def _may_fetch(self) -> bool:
        if self._fetching is not None:
            return False
        now = time.monotonic()
        self._tokens = min(_BUCKET_SIZE, self._tokens + (now - self._tokens_at) / _BUCKET_SECONDS)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _fetch_once(self) -> None:
        """Fetch, or wait for the fetch that is under way; a waiter that goes away does not end it."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="fetch-key-set")
            self._fetching.add_done_callback(self._forget_fetch)
        await asyncio.shield(self._fetching)

    def _forget_fetch(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                httpx.AsyncClient(follow_redirects=False) as client,
            ):
                keys = _parse(await self._download(client))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            # The keys we have stay good: losing them would turn an outage there into one here.
            self.failed_refreshes += 1
            _log.warning(
                "key set cannot be fetched",
                url=self._url,
                error=type(error).__name__,
                reason=str(error)[:200],
            )
            return
        self._keys = keys
        self.last_success = time.time()

    async def _download(self, client: httpx.AsyncClient) -> bytes:
        async with client.stream("GET", self._url, headers={"Accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _MAX_BYTES:
                    raise ValueError("the key set is too large")
            return body

    async def _refresh_forever(self) -> None:
        while True:
            await self._fetch_once()
            await asyncio.sleep(self._refresh_seconds)


def _parse(body: bytes) -> dict[str, SigningKey]:
    """Read a key set, passing over keys that are not ours to use.

    Raises:
        ValueError: It is not a key set, or has no usable key.
    """
    try:
        listed = json.loads(body)["keys"]
        candidates: list[Any] = [each for each in listed if isinstance(each, dict)]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("not a key set") from None
    keys = {}
    for each in candidates:
        algorithm, key_id = algorithm_of(each), each.get("kid")
        if algorithm is None or not isinstance(key_id, str) or each.get("use", "sig") != "sig":
            continue
        with contextlib.suppress(JWKError):
            keys[key_id] = SigningKey(algorithm, public_key(each, algorithm))
    if not keys:
        raise ValueError("the key set has no usable key")
    return keys
