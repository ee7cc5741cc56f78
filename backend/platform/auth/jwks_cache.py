"""Cache of the frontend's key set: fetched on demand, refreshed in the background, kept if a fetch fails."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import httpx
import structlog

from backend.platform.auth.algorithms import SigningKey
from backend.platform.auth.jwks_client import JWKSClient, JWKSFetchError
from backend.platform.errors import SigningKeysUnavailable
from backend.platform.observability.metrics import initialize_key_set_metrics, observe_key_set_refresh
from backend.platform.settings.auth import AuthSettings

__all__ = ["JWKSCache", "jwks_cache"]

# Token bucket (rate limit) for the fetches that unknown key ids cause: a burst of five, then one every 2 s. A fixed
# cool-down would let forged ids delay the first token of a new key; no limit would let them overload the key server.
_BUCKET_SIZE: Final = 5.0
_BUCKET_REFILL_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 10.0

_log = structlog.get_logger()


class JWKSCache:
    """The keys of one JWKS endpoint by key id.

    Args:
        client: Fetches the key set.
        refresh_seconds: Interval of the background refresh, which also removes retired keys.

    Attributes:
        last_success: Unix time of the last successful fetch, None before it.
        fetches: Number of fetches started.
        failed_refreshes: Number of fetches that failed.
    """

    def __init__(self, client: JWKSClient, *, refresh_seconds: float) -> None:
        self._client = client
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str, SigningKey] = {}
        self._fetch_task: asyncio.Task[bool] | None = None
        self._refresh_task: asyncio.Task[None] | None = None
        self._fetch_budget = _BUCKET_SIZE
        self._refilled_at = time.monotonic()
        self.last_success: float | None = None
        self.fetches = 0
        self.failed_refreshes = 0

    async def start(self) -> None:
        """Start the background refresh; the key server may be unreachable."""
        initialize_key_set_metrics()
        self._refresh_task = asyncio.create_task(self._refresh_forever(), name="refresh-key-set")

    async def stop(self) -> None:
        """Stop the background refresh and close the HTTP client."""
        for task in (self._refresh_task, self._fetch_task):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._client.aclose()

    @property
    def keys(self) -> Mapping[str, SigningKey]:
        """The keys by key id as last fetched. Each fetch creates a new mapping."""
        return self._keys

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key with this id, None if the key set lacks it. An unknown id triggers a fetch.

        Args:
            key_id: `kid` of a token's header.

        Raises:
            SigningKeysUnavailable: No fetch has succeeded yet.
        """
        if key := self._keys.get(key_id):
            return key
        if self._fetch_task is not None or self._spend_fetch_budget():
            await self._fetch_once()
        if self.last_success is None:
            raise SigningKeysUnavailable(
                "The frontend's signing keys cannot be fetched right now. Try again later."
            )
        return self._keys.get(key_id)

    def _spend_fetch_budget(self) -> bool:
        now = time.monotonic()
        refill = (now - self._refilled_at) / _BUCKET_REFILL_SECONDS
        self._fetch_budget = min(_BUCKET_SIZE, self._fetch_budget + refill)
        self._refilled_at = now
        if self._fetch_budget < 1:
            return False
        self._fetch_budget -= 1
        return True

    async def _fetch_once(self) -> bool:
        """Fetch, or await the fetch in progress. Cancelling one caller does not cancel the shared fetch."""
        if self._fetch_task is None:
            self._fetch_task = asyncio.create_task(self._fetch(), name="fetch-key-set")
            self._fetch_task.add_done_callback(self._clear_fetch_task)
        return await asyncio.shield(self._fetch_task)

    def _clear_fetch_task(self, _task: asyncio.Task[bool]) -> None:
        self._fetch_task = None

    async def _fetch(self) -> bool:
        self.fetches += 1
        try:
            self._keys = await self._client.fetch()
        except JWKSFetchError as error:
            # Keep the current keys: dropping them would turn an outage of the key server into one of this service.
            self.failed_refreshes += 1
            observe_key_set_refresh(succeeded=False)
            _log.warning("key set cannot be fetched", server=self._client.name, reason=str(error)[:200])
            return False
        self.last_success = time.time()
        observe_key_set_refresh(succeeded=True)
        return True

    async def _refresh_forever(self) -> None:
        while True:
            succeeded = await self._fetch_once()
            delay = self._refresh_seconds if succeeded else min(_RETRY_SECONDS, self._refresh_seconds)
            await asyncio.sleep(delay)


def jwks_cache(settings: AuthSettings) -> tuple[JWKSCache, str]:
    """Return the cache of a frontend's key set, and the origin of its base URL.

    Raises:
        ConfigurationError: See `JWKSClient`.
    """
    base = httpx.URL(settings.better_auth_url or settings.better_auth_jwks_url or "")
    # The path of the base URL is where Better Auth mounts its routes; the default is /api/auth.
    path = base.path.rstrip("/") or "/api/auth"
    url = settings.better_auth_jwks_url or str(base.copy_with(path=f"{path}/jwks", query=None, fragment=None))
    client = JWKSClient(url, timeout_seconds=settings.jwks_timeout_seconds)
    origin = f"{base.scheme}://{base.netloc.decode()}"
    return JWKSCache(client, refresh_seconds=settings.jwks_refresh_seconds), origin
