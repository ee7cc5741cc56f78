"""Tokens whose signature was found good, so that each is verified once and not with every request."""

import time
from typing import Final

from backend.platform.auth.principal import Principal

__all__ = ["TokenCache"]

_MOST: Final = 4096
"""Half a kilobyte each; only good tokens get in, so nobody can fill it with made-up ones."""


class TokenCache:
    """The callers of verified tokens, by digest, until the tokens expire or the keys change."""

    def __init__(self) -> None:
        self._source: object = None
        self._found: dict[bytes, tuple[Principal, float]] = {}

    def find(self, digest: bytes, source: object) -> Principal | None:
        """Return whom the token names, None where it must be verified.

        Args:
            digest: Of the whole token, signature and all.
            source: What it would be verified with now.
        """
        self._follow(source)
        principal, expires = self._found.get(digest, (None, 0.0))
        if principal is not None and time.time() >= expires:
            del self._found[digest]
            return None
        return principal

    def remember(self, digest: bytes, source: object, principal: Principal, expires: float) -> None:
        """Keep the outcome of a verification.

        Args:
            digest: Of the whole token.
            source: What it was verified with.
            principal: Whom it names.
            expires: The first moment at which it is no longer good, in seconds since 1970.
        """
        self._follow(source)
        if len(self._found) >= _MOST:
            del self._found[next(iter(self._found))]
        self._found[digest] = principal, expires

    def _follow(self, source: object) -> None:
        """Forget everything once secret or key set is another: what they vouched for they may not any more."""
        if source is not self._source:
            self._source = source
            self._found.clear()
