"""The frontend's keys: fetched when needed, refreshed in the background, kept when a fetch fails."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import structlog

from backend.platform.auth.algorithms import SigningKey
from backend.platform.auth.jwks_client import JWKSClient, JWKSFetchError
from backend.platform.errors import SigningKeysUnavailable
from backend.platform.observability.metrics import begin_key_set, observe_key_set_refresh

__all__ = ["JWKSCache"]

# An unknown key id may cause a fetch: five at once, then one in two seconds. With a plain cool-down,
# made-up ids would delay the first token of a real new key; with none, they would be an attack on the key server.
_BUCKET_SIZE: Final = 5.0
_BUCKET_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 10.0

_log = structlog.get_logger()


class JWKSCache:
    """The keys of one server, by their ids.

    Args:
        server: Where they come from.
        refresh_seconds: How often they are fetched anew, so that retired ones go.

    Attributes:
        last_success: When a fetch last succeeded, in seconds of `time.time()`.
        fetches: How many were begun.
        failed_refreshes: How many of them failed.
    """

    def __init__(self, server: JWKSClient, *, refresh_seconds: float) -> None:
        self._server = server
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str, SigningKey] = {}
        self._fetching: asyncio.Task[bool] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._fetch_budget = _BUCKET_SIZE
        self._allowance_at = time.monotonic()
        self.last_success: float | None = None
        self.fetches = 0
        self.failed_refreshes = 0

    async def start(self) -> None:
        """Refresh in the background from now on; the key server need not be there."""
        begin_key_set()
        self._refreshing = asyncio.create_task(self._refresh_forever(), name="refresh-key-set")

    async def stop(self) -> None:
        """End the background refresh and close the connection."""
        for task in (self._refreshing, self._fetching):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._server.aclose()

    @property
    def published(self) -> Mapping[str, SigningKey]:
        """The keys by their ids, as last fetched; each fetch makes another mapping."""
        return self._keys

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key of this id, fetching the set where it is not known yet.

        Args:
            key_id: The `kid` of a token's header.

        Raises:
            SigningKeysUnavailable: No key set was ever fetched, and none can be now.
        """
        if key := self._keys.get(key_id):
            return key
        if self._fetching is not None or self._may_fetch():
            await self._fetch_once()
        if self.last_success is None:
            raise SigningKeysUnavailable(
                "The frontend's signing keys cannot be fetched right now. Try again later."
            )
        return self._keys.get(key_id)

    def _may_fetch(self) -> bool:
        now = time.monotonic()
        earned = (now - self._allowance_at) / _BUCKET_SECONDS
        self._fetch_budget = min(_BUCKET_SIZE, self._fetch_budget + earned)
        self._allowance_at = now
        if self._fetch_budget < 1:
            return False
        self._fetch_budget -= 1
        return True

    async def _fetch_once(self) -> bool:
        """Fetch, or wait for the fetch under way; a caller that goes away does not end it for the others."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="fetch-key-set")
            self._fetching.add_done_callback(self._forget_fetch)
        return await asyncio.shield(self._fetching)

    def _forget_fetch(self, _task: asyncio.Task[bool]) -> None:
        self._fetching = None

    async def _fetch(self) -> bool:
        self.fetches += 1
        try:
            self._keys = await self._server.fetch()
        except JWKSFetchError as error:
            # The keys we have stay good: to drop them would turn an outage there into one here.
            self.failed_refreshes += 1
            observe_key_set_refresh(succeeded=False)
            _log.warning("key set cannot be fetched", server=self._server.name, reason=str(error)[:200])
            return False
        self.last_success = time.time()
        observe_key_set_refresh(succeeded=True)
        return True

    async def _refresh_forever(self) -> None:
        while True:
            succeeded = await self._fetch_once()
            delay = self._refresh_seconds if succeeded else min(_RETRY_SECONDS, self._refresh_seconds)
            await asyncio.sleep(delay)
