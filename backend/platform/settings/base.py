"""Base class of the settings groups, and the function that loads a group from the environment."""

from pathlib import Path
from typing import Any, Literal, override

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from backend.platform.errors import ConfigurationError
from backend.platform.service_name import SERVICE_NAME
from backend.platform.settings.environment import read_variables

__all__ = ["SettingsGroup", "load"]


class SettingsGroup(BaseSettings):
    """A group of settings. Each component loads only the groups that it needs, so it gets no other secrets."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read each variable as plain text, without JSON decoding, as `drain` and `healthcheck` do."""
        variables = InitSettingsSource(settings_cls, dict(read_variables(settings_cls.model_fields)))
        return init_settings, variables

    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` requires a database and a secret or key set. `development` starts an embedded "
        "PostgreSQL and generates a secret where none is configured.",
    )
    data_dir: Path = Field(
        Path(f".{SERVICE_NAME}"),
        description="Directory of the embedded database and of the generated secret. Used in development only.",
    )


def load[Group: SettingsGroup](group: type[Group]) -> Group:
    """Load a group of settings from the environment and from `.env`.

    Raises:
        ConfigurationError: A setting is invalid; the message names each variable and the cause.
    """
    try:
        return group()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_format_error(dict(item)) for item in error.errors())) from None


def _format_error(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
