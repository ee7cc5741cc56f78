"""What the claims of a well-signed token must be, beyond what python-jose checks."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeIs

from backend.platform.auth.principal import Principal

__all__ = ["ClaimsValidator"]

_TEXT_MAX_LENGTH: Final = 255
# PostgreSQL takes no NUL and UTF-8 no surrogate; a control character is no part of a name.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ClaimsValidator:
    """Whose tokens are taken, and for how long (RFC 7519 §4.1).

    Attributes:
        issuers: Accepted `iss`; empty: any, or none.
        audiences: Accepted `aud`, one of which must be among the token's; empty: any, or none.
        leeway_seconds: Clock difference allowed, 0 to 60.
    """

    issuers: frozenset[str]
    audiences: frozenset[str]
    leeway_seconds: int

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return whom the claims name.

        Args:
            claims: Of a token whose signature is good.

        Raises:
            ValueError: A rule is broken.
        """
        self._check_times(claims)
        issuer, audience = claims.get("iss"), claims.get("aud")
        if self.issuers and not _names_one(issuer, self.issuers):
            raise ValueError("iss")
        audiences = audience if isinstance(audience, list) else [audience]
        if self.audiences and not any(_names_one(each, self.audiences) for each in audiences):
            raise ValueError("aud")
        # Never another claim instead: Better Auth signs the links of its e-mails with the same
        # secret, and those have an `email` and a `userId`, but no `sub`.
        subject = _text(claims.get("sub"))
        if subject is None:
            raise ValueError("sub")
        return Principal(subject)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = time.time()
        expires, issued, begins = claims.get("exp"), claims.get("iat", now), claims.get("nbf", now)
        # python-jose reads a text as a number, takes `exp` for the last good second (it is the first
        # bad one), and lets `iat` be next year. A NaN compares as false, and so is refused.
        if not (_is_number(expires) and now < expires + self.leeway_seconds):
            raise ValueError("exp")
        for name, moment in (("iat", issued), ("nbf", begins)):
            if not (_is_number(moment) and moment - self.leeway_seconds <= now):
                raise ValueError(name)


def _is_number(value: Any) -> TypeIs[int | float]:
    return isinstance(value, int | float)


def _names_one(claim: Any, accepted: frozenset[str]) -> bool:
    return isinstance(claim, str) and claim in accepted


def _text(claim: Any) -> str | None:
    """Return a claim that is a text of sane length which a database takes, else None."""
    if isinstance(claim, str) and 0 < len(claim) <= _TEXT_MAX_LENGTH and not _UNFIT.search(claim):
        return claim
    return None
