"""Validation of token claims beyond the checks of python-jose (RFC 7519 §4.1)."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeIs

from backend.platform.auth.principal import Principal

__all__ = ["ClaimsValidator"]

_SUBJECT_MAX_LENGTH: Final = 255
# PostgreSQL rejects NUL, UTF-8 cannot encode surrogates, and a user id has no control characters.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ClaimsValidator:
    """Checks issuer, audience, times and subject of a token.

    Attributes:
        issuers: Accepted `iss` claims. Empty accepts every token, also one without `iss`.
        audiences: Accepted `aud` claims; a token needs one of them. Empty accepts every token.
        leeway_seconds: Accepted clock skew in seconds, 0 to 60.
    """

    issuers: frozenset[str]
    audiences: frozenset[str]
    leeway_seconds: int

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return the principal that the claims identify.

        Args:
            claims: Claims of a token whose signature is verified.

        Raises:
            ValueError: A claim is missing or not accepted; the message is the claim's name.
        """
        self._check_times(claims)
        issuer, audience = claims.get("iss"), claims.get("aud")
        if self.issuers and not _is_accepted(issuer, self.issuers):
            raise ValueError("iss")
        audiences = audience if isinstance(audience, list) else [audience]
        if self.audiences and not any(_is_accepted(each, self.audiences) for each in audiences):
            raise ValueError("aud")
        # No other claim replaces `sub`: Better Auth signs the links in its e-mails with the same secret,
        # and those tokens have `email` and `userId`, but no `sub`.
        subject = _parse_subject(claims.get("sub"))
        if subject is None:
            raise ValueError("sub")
        return Principal(subject)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = time.time()
        expires_at, issued_at, not_before = claims.get("exp"), claims.get("iat", now), claims.get("nbf", now)
        # python-jose accepts numeric strings, accepts a token at the second `exp` (RFC 7519 rejects it), and does
        # not compare `iat` with the clock. NaN is rejected because comparisons with it are false.
        if not (_is_number(expires_at) and now < expires_at + self.leeway_seconds):
            raise ValueError("exp")
        for name, time_claim in (("iat", issued_at), ("nbf", not_before)):
            if not (_is_number(time_claim) and time_claim - self.leeway_seconds <= now):
                raise ValueError(name)


def _is_number(value: Any) -> TypeIs[int | float]:
    return isinstance(value, int | float)


def _is_accepted(claim: Any, accepted: frozenset[str]) -> bool:
    return isinstance(claim, str) and claim in accepted


def _parse_subject(claim: Any) -> str | None:
    """Return a claim that is a string of 1 to 255 characters which PostgreSQL can store, else None."""
    if isinstance(claim, str) and 0 < len(claim) <= _SUBJECT_MAX_LENGTH and not _FORBIDDEN.search(claim):
        return claim
    return None
