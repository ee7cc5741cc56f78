"""Settings: every environment variable, typed, described, and refused in plain words when impossible."""

from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, model_validator

from backend.database_config import DatabaseSettings
from backend.secret_sources import SECRET_MIN_LENGTH, ConfigurationError, development_secret, read_secret
from backend.setting_types import CommaSeparated, HttpUrl, Origins

__all__ = [
    "DESCRIPTION_MAX_LENGTH",
    "SECRET_MIN_LENGTH",
    "TITLE_MAX_LENGTH",
    "ConfigurationError",
    "DatabaseSettings",
    "Settings",
    "load_database_settings",
    "load_settings",
]

# Limits of the contract, which no deployment may change: the tables keep the same ones.
TITLE_MAX_LENGTH = 200
DESCRIPTION_MAX_LENGTH = 10_000


class Settings(DatabaseSettings):
    """The service's configuration, from the environment and from `.env`.

    A secret may come from a file instead (`…_FILE`); the file is read at each use, so a
    rotated secret is picked up without a restart.
    """

    allowed_origins: Origins = Field(
        ("http://localhost:3000",),
        description="Origins of browser frontends (CORS), comma separated, each `scheme://host[:port]`.",
    )

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
    def _check_together(self) -> Self:
        if self.environment == "production":
            if self.debug:
                raise ValueError("DEBUG must be off unless ENVIRONMENT=development")
            if (
                not self.uses_jwks
                and self.better_auth_secret is None
                and self.better_auth_secret_file is None
            ):
                raise ValueError(
                    "BETTER_AUTH_URL, or BETTER_AUTH_SECRET (or its _FILE), must be set unless ENVIRONMENT=development"
                )
        if not self.uses_jwks:
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


def load_settings() -> Settings:
    """Read every setting from the environment.

    Raises:
        ConfigurationError: A setting is impossible; the text is one sentence for each, naming its variable.
    """
    return _load(Settings)


def load_database_settings() -> DatabaseSettings:
    """Read those settings that a migration needs, so that it is not given the others' secrets.

    Raises:
        ConfigurationError: As for `load_settings`.
    """
    return _load(DatabaseSettings)


def _load[Kind: DatabaseSettings](kind: type[Kind]) -> Kind:
    try:
        return kind()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
