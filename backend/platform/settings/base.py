"""The base of every group of settings, and how a group is read from the environment."""

from pathlib import Path
from typing import Any, Literal, Self, override

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from backend.platform.errors import ConfigurationError
from backend.platform.settings.environment import read_variables

__all__ = ["SettingsGroup", "load"]


class SettingsGroup(BaseSettings):
    """Settings that belong together; a part of the service takes the group that it needs, and no other secrets."""

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
        """Read variables as `drain` and `healthcheck` do: each value as its text, without JSON decoding."""
        variables = InitSettingsSource(settings_cls, dict(read_variables(settings_cls.model_fields)))
        return init_settings, variables

    environment: Literal["development", "production"] = Field(
        "development",
        description="`development` allows an embedded database and a generated secret; `production` asks for both.",
    )
    debug: bool = Field(
        default=False, description="Tracebacks in the log's console format. Development only."
    )
    data_dir: Path = Field(
        Path(".task-service"), description="Where development keeps its embedded database and secret."
    )

    @model_validator(mode="after")
    def _check_debug(self) -> Self:
        if self.debug and self.environment == "production":
            raise ValueError("DEBUG must be off unless ENVIRONMENT=development")
        return self


def load[Group: SettingsGroup](group: type[Group]) -> Group:
    """Read a group of settings from the environment and from `.env`.

    Raises:
        ConfigurationError: A setting is impossible; the text is one sentence for each, naming its variable.
    """
    try:
        return group()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
