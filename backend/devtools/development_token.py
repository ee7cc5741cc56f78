"""Makes tokens for development, signed with the development secret; production has a frontend for that."""

import time

from jose import jwt

from backend.platform.errors import ConfigurationError
from backend.platform.settings.auth import AuthSettings

__all__ = ["make_token"]


def make_token(settings: AuthSettings, user_id: str, *, lifetime_seconds: int) -> str:
    """Return an HS256 token as the frontend would make it.

    Args:
        settings: Must be those of development, without a key set.
        user_id: The token's `sub`.
        lifetime_seconds: From now until the token expires.

    Raises:
        ConfigurationError: The settings are not those of development with a shared secret.
    """
    if settings.environment != "development":
        raise ConfigurationError("tokens are made in development only (ENVIRONMENT=development)")
    if settings.uses_jwks:
        raise ConfigurationError(
            "BETTER_AUTH_URL is set, so only that frontend can make tokens; unset it to make your own"
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
