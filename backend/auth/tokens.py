"""From the text of a token to the caller it names; whatever is wrong with it is one InvalidToken."""

import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from jose import jwk, jwt
from jose.backends.base import Key
from jose.exceptions import JOSEError
from jose.utils import base64url_decode

from backend.auth.algorithms import HEADER_ALIASES
from backend.auth.keys import KeySet, SigningKey
from backend.auth.principal import Principal
from backend.config import ConfigurationError, Settings
from backend.errors import InvalidToken

__all__ = ["TokenVerifier"]

_MAX_LENGTH: Final = 8 * 1024
_TEXT_MAX_LENGTH: Final = 255
_JWKS_PATH: Final = "/api/auth/jwks"
# What python-jose raises besides its own errors for tokens made to break it: `exp` as a list or
# infinity, a header of eight thousand brackets.
_BROKEN: Final = (JOSEError, ValueError, TypeError, OverflowError, RecursionError, AttributeError, KeyError)
_OPTIONS: Final = {
    "require_exp": True,
    "require_sub": True,
    # python-jose takes one audience only, and refuses a token that has one when none is given.
    "verify_aud": False,
    "verify_at_hash": False,
}


class TokenVerifier:
    """Verifies the tokens of one Better Auth frontend, by its key set or a shared secret.

    Args:
        settings: Mode, secret, addresses, issuers, audiences, leeway.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuers = frozenset(settings.better_auth_issuers)
        self._audiences = frozenset(settings.better_auth_audiences)
        self._secret = ""
        self._secret_key: Key | None = None
        self.keys: KeySet | None = None
        if settings.uses_jwks:
            base = settings.better_auth_url or settings.better_auth_jwks_url or ""
            # Better Auth cuts path and trailing slash off its own `iss` and `aud`.
            origin = frozenset({"{0.scheme}://{0.netloc}".format(urlsplit(base))})
            self._issuers = self._issuers or origin
            self._audiences = self._audiences or origin
            self.keys = KeySet(
                settings.better_auth_jwks_url or base.rstrip("/") + _JWKS_PATH,
                timeout_seconds=settings.jwks_timeout_seconds,
                refresh_seconds=settings.jwks_refresh_seconds,
            )

    async def start(self) -> None:
        """Begin to keep the key set fresh; without one there is nothing to do."""
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
            SigningKeysUnavailable: No key set could be fetched yet.
        """
        header = _header(token)
        algorithm, key = await self._key(header)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                options=_OPTIONS | {"leeway": self._settings.token_leeway_seconds},
            )
            self._check(claims)
            return Principal(_subject(claims), _text(claims, "email"), _text(claims, "name"))
        except _BROKEN:
            raise _invalid() from None

    async def _key(self, header: dict[str, Any]) -> SigningKey:
        algorithm = header.get("alg")
        if self.keys is None:
            if algorithm != "HS256":
                raise _invalid()
            return SigningKey("HS256", self._shared_secret_key())
        key_id = header.get("kid")
        if not isinstance(algorithm, str) or not isinstance(key_id, str):
            raise _invalid()
        found = await self.keys.find(key_id)
        if found is None or found.algorithm != HEADER_ALIASES.get(algorithm, algorithm):
            raise _invalid()
        # python-jose compares with the header's own spelling.
        return SigningKey(algorithm, found.key)

    def _shared_secret_key(self) -> Key:
        try:
            secret = self._settings.signing_secret()
        except ConfigurationError:
            # The file is being replaced: the last secret is still good.
            secret = self._secret
        if self._secret_key is None or secret != self._secret:
            # Not the text itself: python-jose would read a secret that looks like JSON or PEM as such.
            self._secret, self._secret_key = secret, jwk.construct(secret, "HS256")
        return self._secret_key

    def _check(self, claims: dict[str, Any]) -> None:
        """Check what python-jose does not."""
        now, leeway = time.time(), self._settings.token_leeway_seconds
        expires, issued = claims["exp"], claims.get("iat", now)
        # python-jose reads a text as a number, lets `exp` be this very second, and `iat` be next year.
        if not (isinstance(expires, int | float) and isinstance(issued, int | float)):
            raise _invalid()
        if expires + leeway <= now or issued - leeway > now:
            raise _invalid()
        if self._issuers and claims.get("iss") not in self._issuers:
            raise _invalid()
        audience = claims.get("aud")
        if self._audiences and self._audiences.isdisjoint(
            [audience] if isinstance(audience, str) else audience or ()
        ):
            raise _invalid()


def _header(token: str) -> dict[str, Any]:
    if len(token) > _MAX_LENGTH or not token.isascii() or token.count(".") != 2:  # noqa: PLR2004 - RFC 7515 §3.1
        raise _invalid()
    try:
        header = json.loads(base64url_decode(token.partition(".")[0].encode()))
    except _BROKEN:
        raise _invalid() from None
    # An extension that must be understood is not (RFC 7515 §4.1.11); a cached session is no access token.
    if not isinstance(header, dict) or "crit" in header or "session" in str(header.get("typ", "")):
        raise _invalid()
    return header


def _subject(claims: dict[str, Any]) -> str:
    # Never another claim instead: Better Auth signs links in its e-mails with the same secret,
    # and those have an `email` but no `sub`.
    subject = _text(claims, "sub")
    if subject is None or subject.strip() != subject:
        raise _invalid()
    return subject


def _text(claims: dict[str, Any], name: str) -> str | None:
    """Return a claim that is a printable text of sane length, else None."""
    value = claims.get(name)
    if isinstance(value, str) and 0 < len(value) <= _TEXT_MAX_LENGTH and value.isprintable():
        return value
    return None


def _invalid() -> InvalidToken:
    # The same for every cause: which check failed helps an attacker most.
    return InvalidToken("The token is not valid here, or no longer. Get a new one from the frontend.")
