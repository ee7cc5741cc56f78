"""Authentication settings: how the tokens of the Better Auth frontend are verified."""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from backend.platform.errors import ConfigurationError
from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.secrets import SECRET_MIN_LENGTH, development_secret, read_secret
from backend.platform.settings.types import CommaSeparated, HttpUrl

__all__ = ["AuthSettings"]


class AuthSettings(SettingsGroup):
    """Token verification with a shared secret (HS256) or with the frontend's key set (JWKS)."""

    better_auth_secret: SecretStr | None = Field(
        None,
        description="Secret shared with the frontend; tokens are verified with HS256. At least 32 characters. "
        "Unset in development: a secret is generated in DATA_DIR.",
    )
    better_auth_secret_file: Path | None = Field(
        None,
        description="File that contains BETTER_AUTH_SECRET; it takes precedence over the variable. The file is read "
        "for each token, so a rotated secret needs no restart.",
    )
    better_auth_url: HttpUrl | None = Field(
        None,
        description="Base URL of the frontend. Tokens are verified with the public keys of its `/api/auth/jwks`, "
        "and BETTER_AUTH_SECRET is ignored.",
    )
    better_auth_jwks_url: HttpUrl | None = Field(
        None,
        description="URL of the key set (JWKS) if it is not `/api/auth/jwks` below BETTER_AUTH_URL. "
        "It may contain a user and a password.",
    )
    better_auth_issuers: CommaSeparated = Field(
        (),
        description="Accepted `iss` claims, comma separated. Unset: the origin of BETTER_AUTH_URL, else of "
        "BETTER_AUTH_JWKS_URL; with a shared secret every token is accepted.",
    )
    better_auth_audiences: CommaSeparated = Field(
        (),
        description="Accepted `aud` claims, comma separated; a token needs one of them. Unset: as for "
        "BETTER_AUTH_ISSUERS.",
    )
    jwks_refresh_seconds: float = Field(
        600.0,
        ge=1,
        description="Seconds between two fetches of the key set. A failed fetch keeps the current keys and is "
        "repeated after 10 s.",
    )
    jwks_timeout_seconds: float = Field(
        5.0,
        gt=0,
        le=60,
        description="Seconds that a fetch of the key set may take, from connecting to the last byte.",
    )
    token_leeway_seconds: int = Field(
        10, ge=0, le=60, description="Clock skew in seconds that is accepted in `exp`, `nbf` and `iat`."
    )

    @model_validator(mode="after")
    def _check_auth(self) -> Self:
        if self.uses_jwks:
            return self
        has_secret = self.better_auth_secret is not None or self.better_auth_secret_file is not None
        if self.environment == "production" and not has_secret:
            raise ValueError(
                "BETTER_AUTH_URL, BETTER_AUTH_SECRET or BETTER_AUTH_SECRET_FILE must be set unless"
                " ENVIRONMENT=development"
            )
        self.signing_secret()
        return self

    @property
    def uses_jwks(self) -> bool:
        """Whether tokens are verified with the frontend's public keys instead of the shared secret."""
        return self.better_auth_url is not None or self.better_auth_jwks_url is not None

    def signing_secret(self) -> str:
        """Return the current HS256 secret.

        Raises:
            ConfigurationError: The secret is shorter than 32 characters, or its file cannot be read.
        """
        secret = read_secret("BETTER_AUTH_SECRET", self.better_auth_secret, self.better_auth_secret_file)
        if secret is None:
            return self._development_secret
        if len(secret) < SECRET_MIN_LENGTH:
            raise ConfigurationError(
                f"BETTER_AUTH_SECRET has {len(secret)} characters; it needs at least {SECRET_MIN_LENGTH}"
                " (generate one with: openssl rand -base64 32)"
            )
        return secret

    @cached_property
    def _development_secret(self) -> str:
        return development_secret(self.data_dir)
