"""From the text of a token to the caller it names; whatever is wrong with it is one InvalidToken."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
from jose import jwt
from jose.exceptions import JOSEError
from jose.utils import base64url_decode

from backend.platform.auth.algorithms import HEADER_ALIASES, SigningKey
from backend.platform.auth.claims import ClaimsValidator
from backend.platform.auth.jwks_cache import JWKSCache
from backend.platform.auth.jwks_client import JWKSClient
from backend.platform.auth.principal import Principal
from backend.platform.auth.shared_secret import SharedSecret
from backend.platform.auth.token_cache import TokenCache
from backend.platform.errors import InvalidToken
from backend.platform.settings.auth import AuthSettings

__all__ = ["TokenVerifier"]

_MAX_LENGTH: Final = 8 * 1024
# RFC 7515 §3.1; python-jose would pass over characters that are no base64url.
_COMPACT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# What python-jose lets through besides its own errors, for tokens made to break it: `exp` as a
# list or infinity, a payload of thousands of brackets.
INVALID_TOKEN_ERRORS: Final = (JOSEError, ValueError, TypeError, OverflowError, RecursionError)
# Better Auth sets no `typ`, RFC 9068 the second. Any other says that the token is for something else (RFC 8725
# §3.11), such as `better-auth.session-cache+jwt`, which has a `sub` and is signed with the same key.
_ACCESS_TYPES: Final = (None, "jwt", "at+jwt", "application/at+jwt")


class TokenVerifier:
    """Verifies the tokens of one Better Auth frontend, by its key set or by a shared secret.

    Args:
        settings: Secret or addresses, issuers, audiences, leeway.

    Attributes:
        keys: The key set, None with a shared secret.
    """

    def __init__(self, settings: AuthSettings) -> None:
        origin: frozenset[str] = frozenset()
        self.keys: JWKSCache | None = None
        if settings.uses_jwks:
            base = httpx.URL(settings.better_auth_url or settings.better_auth_jwks_url or "")
            # Better Auth cuts path and trailing slash off its own `iss` and `aud`.
            origin = frozenset({f"{base.scheme}://{base.netloc.decode()}"})
            server = JWKSClient(
                settings.better_auth_jwks_url or _jwks_url(base),
                timeout_seconds=settings.jwks_timeout_seconds,
            )
            self.keys = JWKSCache(server, refresh_seconds=settings.jwks_refresh_seconds)
        self._secret = SharedSecret(settings)
        self._verified = TokenCache()
        self._rules = ClaimsValidator(
            issuers=frozenset(settings.better_auth_issuers) or origin,
            audiences=frozenset(settings.better_auth_audiences) or origin,
            leeway_seconds=settings.token_leeway_seconds,
        )
        self._options: Final = {
            "leeway": settings.token_leeway_seconds,
            # python-jose takes one audience only, and refuses a token that has one when none is given.
            "verify_aud": False,
        }

    async def start(self) -> None:
        """Begin to keep the key set fresh; with a shared secret there is nothing to do."""
        if self.keys is not None:
            await self.keys.start()

    async def stop(self) -> None:
        """End what `start` began."""
        if self.keys is not None:
            await self.keys.stop()

    async def verify(self, token: str) -> Principal:
        """Return whom the token names.

        Args:
            token: What follows `Bearer ` in the Authorization header.

        Raises:
            InvalidToken: It does not verify (RFC 7519 §7.2), is expired, or is no access token.
            SigningKeysUnavailable: No key set, or no secret, could be had yet.
        """
        try:
            return await self._principal(token)
        except INVALID_TOKEN_ERRORS:
            # The same for every cause: which check failed helps an attacker most.
            raise InvalidToken(
                "The token is not valid here, or no longer. Get a new one from the frontend."
            ) from None

    async def _principal(self, token: str) -> Principal:
        digest = hashlib.sha256(token.encode()).digest()
        if found := self._verified.find(digest, self._source()):
            return found
        header = _header(token)
        algorithm, key = await self._key(header)
        # One algorithm, that of the key: a list would let the token choose.
        claims = jwt.decode(token, key, algorithms=[algorithm], options=self._options)
        principal = self._rules.principal(claims)
        # The very key, not the one in force now: the file of the secret may just have changed.
        source = key if self.keys is None else self.keys.published
        self._verified.remember(digest, source, principal, claims["exp"] + self._rules.leeway_seconds)
        return principal

    def _source(self) -> object:
        """Return what tokens are verified with now."""
        return self._secret.key() if self.keys is None else self.keys.published

    async def _key(self, header: Mapping[str, Any]) -> SigningKey:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if self.keys is None:
            return SigningKey("HS256", self._secret.key())
        if not (isinstance(algorithm, str) and isinstance(key_id, str)):
            raise TypeError("alg, kid")
        found = await self.keys.find(key_id)
        if found is None or found.algorithm != HEADER_ALIASES.get(algorithm, algorithm):
            raise ValueError("kid")
        # python-jose compares with the header's own spelling.
        return SigningKey(algorithm, found.key)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > _MAX_LENGTH or not _COMPACT.fullmatch(token):
        raise ValueError("not a token")
    header = json.loads(base64url_decode(token.partition(".")[0].encode()))
    # An extension that must be understood is not (RFC 7515 §4.1.11); python-jose would pass over it.
    if not isinstance(header, dict) or "crit" in header:
        raise ValueError("header")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _ACCESS_TYPES:
        raise ValueError("typ")
    return header


def _jwks_url(base: httpx.URL) -> str:
    # A base URL with a path is, to Better Auth, where its routes are; without one they are below /api/auth.
    path = base.path.rstrip("/") or "/api/auth"
    return str(base.copy_with(path=f"{path}/jwks", query=None, fragment=None))
