"""The settings of this service: the platform's groups, and its own, if it gets any."""

from backend.platform.settings.auth import AuthSettings
from backend.platform.settings.base import load
from backend.platform.settings.database import DatabaseSettings
from backend.platform.settings.server import ServerSettings

__all__ = ["Settings", "load_settings"]


class Settings(AuthSettings, DatabaseSettings, ServerSettings):
    """Every setting of the service, from the environment and from `.env`.

    A secret may come from a file instead (`…_FILE`). The file is read at each use, so a
    rotated secret is picked up without a restart.
    """


def load_settings() -> Settings:
    """Read every setting from the environment.

    Raises:
        ConfigurationError: A setting is impossible; the text is one sentence for each, naming its variable.
    """
    return load(Settings)
