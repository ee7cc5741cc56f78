"""Cache of verified tokens, so that each token is verified once and not on every request."""

import time
from typing import Final

from backend.platform.auth.principal import Principal

__all__ = ["TokenCache"]

_MAX_ENTRIES: Final = 4096
"""About 0.5 kB each. Only valid tokens are cached, so forged tokens cannot evict entries."""


class TokenCache:
    """Principals of verified tokens by token digest, until a token expires or the keys rotate."""

    def __init__(self) -> None:
        self._key_source: object = None
        self._entries: dict[bytes, tuple[Principal, float]] = {}

    def get(self, digest: bytes, key_source: object) -> Principal | None:
        """Return the cached principal, None if the token must be verified.

        Args:
            digest: Digest of the whole token, including the signature.
            key_source: Key or key set that verifies tokens now.
        """
        self._invalidate_on_rotation(key_source)
        principal, expires_at = self._entries.get(digest, (None, 0.0))
        if principal is not None and time.time() >= expires_at:
            del self._entries[digest]
            return None
        return principal

    def put(self, digest: bytes, key_source: object, principal: Principal, expires_at: float) -> None:
        """Cache the result of a verification; the oldest entry is evicted from a full cache.

        Args:
            digest: Digest of the whole token, including the signature.
            key_source: Key or key set that verified the token.
            principal: Principal that the token identifies.
            expires_at: Unix time from which the token is expired.
        """
        self._invalidate_on_rotation(key_source)
        if len(self._entries) >= _MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        self._entries[digest] = principal, expires_at

    def _invalidate_on_rotation(self, key_source: object) -> None:
        """Clear the cache when the key or the key set is replaced."""
        if key_source is not self._key_source:
            self._key_source = key_source
            self._entries.clear()
