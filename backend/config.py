"""All settings of this service. Add settings of the application to `Settings`."""

from backend.platform.settings.auth import AuthSettings
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings
from backend.platform.settings.server import ServerSettings

__all__ = ["Settings", "load_settings"]


class Settings(AuthSettings, DatabaseSettings, ServerSettings):
    """All settings, read from the environment and from `.env`.

    A secret can come from a file (`…_FILE`). The file is read at each use, so a rotated secret needs no
    restart.
    """


def load_settings() -> Settings:
    """Load all settings from the environment and from `.env`.

    Raises:
        ConfigurationError: A setting is invalid; the message names each variable and the cause.
    """
    return load(Settings)
