"""Signs tokens for development with the shared secret. In production the frontend issues them."""

import time

from jose import jwt

from backend.platform.errors import ConfigurationError
from backend.platform.settings.auth import AuthSettings

__all__ = ["make_token"]


def make_token(settings: AuthSettings, user_id: str, *, lifetime_seconds: int) -> str:
    """Return an HS256 token with the claims that the frontend sets.

    Args:
        settings: Settings with ENVIRONMENT=development and without a key set.
        user_id: `sub` claim.
        lifetime_seconds: Seconds until the token expires.

    Raises:
        ConfigurationError: ENVIRONMENT is not development, or a key set is configured.
    """
    if settings.environment != "development":
        raise ConfigurationError(
            "`task-service token` needs ENVIRONMENT=development; in production the frontend issues tokens"
        )
    if settings.uses_jwks:
        raise ConfigurationError(
            "BETTER_AUTH_URL or BETTER_AUTH_JWKS_URL is set, so only the frontend can issue tokens; unset it"
        )
    now = int(time.time())
    claims = {
        "sub": user_id,
        "name": user_id,
        "email": f"{user_id}@example.com",
        "iat": now,
        "exp": now + lifetime_seconds,
    }
    if settings.better_auth_issuers:
        claims["iss"] = settings.better_auth_issuers[0]
    if settings.better_auth_audiences:
        claims["aud"] = settings.better_auth_audiences[0]
    return jwt.encode(claims, settings.signing_secret(), algorithm="HS256")
