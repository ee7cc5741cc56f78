"""Settings of authentication: how the tokens of the Better Auth frontend are verified."""

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
    """How tokens are verified: with a shared secret, or with the frontend's key set."""

    better_auth_secret: SecretStr | None = Field(
        None, description="Secret shared with the frontend: tokens are HS256. At least 32 characters."
    )
    better_auth_secret_file: Path | None = Field(
        None, description="File that holds BETTER_AUTH_SECRET; read again when it changes."
    )
    better_auth_url: HttpUrl | None = Field(
        None,
        description="The frontend's base URL: tokens are verified with the keys of its `/api/auth/jwks`, "
        "and BETTER_AUTH_SECRET is not used.",
    )
    better_auth_jwks_url: HttpUrl | None = Field(
        None, description="Address of the key set, where it is moved; may have a user and a password."
    )
    better_auth_issuers: CommaSeparated = Field(
        (), description="Accepted `iss`, comma separated. Default: the origin of BETTER_AUTH_URL."
    )
    better_auth_audiences: CommaSeparated = Field(
        (), description="Accepted `aud`, comma separated. Default: the origin of BETTER_AUTH_URL."
    )
    jwks_refresh_seconds: float = Field(600.0, ge=1, description="How often the key set is fetched anew.")
    jwks_timeout_seconds: float = Field(5.0, gt=0, le=60, description="Longest fetch of the key set.")
    token_leeway_seconds: int = Field(
        10, ge=0, le=60, description="Clock difference allowed in `exp`, `nbf` and `iat`."
    )

    @model_validator(mode="after")
    def _check_auth(self) -> Self:
        if self.uses_jwks:
            return self
        has_secret = self.better_auth_secret is not None or self.better_auth_secret_file is not None
        if self.environment == "production" and not has_secret:
            raise ValueError(
                "BETTER_AUTH_URL, or BETTER_AUTH_SECRET (or its _FILE), must be set unless ENVIRONMENT=development"
            )
        self.signing_secret()
        return self

    @property
    def uses_jwks(self) -> bool:
        """Whether tokens are verified with the frontend's public keys instead of a shared secret."""
        return self.better_auth_url is not None or self.better_auth_jwks_url is not None

    def signing_secret(self) -> str:
        """Return the HS256 secret in force now.

        Raises:
            ConfigurationError: It is shorter than 32 characters, or its file cannot be read.
        """
        secret = read_secret("BETTER_AUTH_SECRET", self.better_auth_secret, self.better_auth_secret_file)
        if secret is None:
            return self._development_secret
        if len(secret) < SECRET_MIN_LENGTH:
            raise ConfigurationError(
                f"BETTER_AUTH_SECRET has {len(secret)} characters; it needs at least {SECRET_MIN_LENGTH}"
                " (openssl rand -base64 32 makes one)"
            )
        return secret

    @cached_property
    def _development_secret(self) -> str:
        return development_secret(self.data_dir)
