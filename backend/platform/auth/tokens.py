"""Verification of bearer tokens (JWT, RFC 7519). Every defect raises the same InvalidToken."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from jose import jwt
from jose.exceptions import JOSEError
from jose.utils import base64url_decode

from backend.platform.auth.algorithms import HEADER_ALIASES, SigningKey
from backend.platform.auth.claims import ClaimsValidator
from backend.platform.auth.principal import Principal
from backend.platform.auth.shared_secret import SharedSecret
from backend.platform.auth.token_cache import TokenCache
from backend.platform.errors import InvalidToken
from backend.platform.settings.auth import AuthSettings

if TYPE_CHECKING:
    from backend.platform.auth.jwks_cache import JWKSCache

__all__ = ["TokenVerifier"]

_MAX_LENGTH: Final = 8 * 1024
# JWS compact serialization (RFC 7515 §3.1); python-jose ignores characters outside base64url.
_COMPACT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# python-jose also raises these for malicious tokens, such as an `exp` that is a list or infinity, or a deeply
# nested payload.
INVALID_TOKEN_ERRORS: Final = (JOSEError, ValueError, TypeError, OverflowError, RecursionError)
# Better Auth sets no `typ`; RFC 9068 requires `at+jwt`. Any other type marks a token for another purpose (RFC 8725
# §3.11), such as `better-auth.session-cache+jwt`, which has a `sub` and is signed with the same key.
_ACCESS_TYPES: Final = (None, "jwt", "at+jwt", "application/at+jwt")


class TokenVerifier:
    """Verifies the tokens of one Better Auth frontend with its key set or with a shared secret.

    Args:
        settings: Secret or URLs, issuers, audiences, leeway.

    Attributes:
        jwks: Cache of the key set, None with a shared secret.

    Raises:
        ConfigurationError: See `JWKSClient`.
    """

    def __init__(self, settings: AuthSettings) -> None:
        origin: frozenset[str] = frozenset()
        self.jwks: JWKSCache | None = None
        if settings.uses_jwks:
            # It loads httpx (40 ms, 4 MiB), which a shared secret does not need.
            from backend.platform.auth.jwks_cache import jwks_cache  # noqa: PLC0415 - see above

            # Better Auth sets `iss` and `aud` to the origin of its base URL.
            self.jwks, base_origin = jwks_cache(settings)
            origin = frozenset({base_origin})
        self._secret = SharedSecret(settings)
        self._cache = TokenCache()
        self._claims_validator = ClaimsValidator(
            issuers=frozenset(settings.better_auth_issuers) or origin,
            audiences=frozenset(settings.better_auth_audiences) or origin,
            leeway_seconds=settings.token_leeway_seconds,
        )
        self._options: Final = {
            "leeway": settings.token_leeway_seconds,
            # python-jose accepts one audience only, and rejects every token with `aud` if none is given.
            "verify_aud": False,
        }

    async def start(self) -> None:
        """Start the background refresh of the key set, if one is used."""
        if self.jwks is not None:
            await self.jwks.start()

    async def stop(self) -> None:
        """Stop the background refresh of the key set."""
        if self.jwks is not None:
            await self.jwks.stop()

    async def verify(self, token: str) -> Principal:
        """Return the principal that a token identifies.

        Args:
            token: Credentials after `Bearer ` in the Authorization header.

        Raises:
            InvalidToken: The token does not verify (RFC 7519 §7.2), is expired, or is not an access token.
            SigningKeysUnavailable: Neither a key set nor a secret could be read yet.
        """
        try:
            return await self._principal(token)
        except INVALID_TOKEN_ERRORS:
            # One message for every cause: the failed check would help an attacker.
            raise InvalidToken(
                "The token is not valid here, or no longer. Get a new one from the frontend."
            ) from None

    async def _principal(self, token: str) -> Principal:
        digest = hashlib.sha256(token.encode()).digest()
        if cached := self._cache.get(digest, self._key_source()):
            return cached
        header = _parse_header(token)
        algorithm, key = await self._key(header)
        # Only the algorithm of the key: with a list, the token would choose (RFC 8725 §3.1).
        claims = jwt.decode(token, key, algorithms=[algorithm], options=self._options)
        principal = self._claims_validator.principal(claims)
        # The key that verified the token: the secret's file may have changed since.
        key_source = key if self.jwks is None else self.jwks.keys
        expires_at = claims["exp"] + self._claims_validator.leeway_seconds
        self._cache.put(digest, key_source, principal, expires_at)
        return principal

    def _key_source(self) -> object:
        """Return the key or the key set that verifies tokens now."""
        return self._secret.key() if self.jwks is None else self.jwks.keys

    async def _key(self, header: Mapping[str, Any]) -> SigningKey:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if self.jwks is None:
            return SigningKey("HS256", self._secret.key())
        if not (isinstance(algorithm, str) and isinstance(key_id, str)):
            raise TypeError("alg, kid")
        signing_key = await self.jwks.find(key_id)
        if signing_key is None or signing_key.algorithm != HEADER_ALIASES.get(algorithm, algorithm):
            raise ValueError("kid")
        # python-jose compares with the spelling in the header.
        return SigningKey(algorithm, signing_key.key)


def _parse_header(token: str) -> Mapping[str, Any]:
    if len(token) > _MAX_LENGTH or not _COMPACT.fullmatch(token):
        raise ValueError("not a token")
    header = json.loads(base64url_decode(token.partition(".")[0].encode()))
    # No critical extension is supported (RFC 7515 §4.1.11); python-jose ignores `crit`.
    if not isinstance(header, dict) or "crit" in header:
        raise ValueError("header")
    token_type = header.get("typ")
    if (token_type.lower() if isinstance(token_type, str) else token_type) not in _ACCESS_TYPES:
        raise ValueError("typ")
    return header
