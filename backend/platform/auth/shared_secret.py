"""The HS256 secret shared with the frontend: read at each use, the last good one kept."""

from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JOSEError

from backend.platform.errors import ConfigurationError, SigningKeysUnavailable
from backend.platform.settings.auth import AuthSettings

__all__ = ["SharedSecret"]


class SharedSecret:
    """Builds the key of the secret in force.

    Args:
        settings: Where the secret is.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._secret: str | None = None
        self._key: Key | None = None

    def key(self) -> Key:
        """Return the key of the secret in force now.

        Raises:
            SigningKeysUnavailable: The secret cannot be read, and never could.
        """
        try:
            secret = self._settings.signing_secret()
            if self._key is None or secret != self._secret:
                # Not the text itself: python-jose would read a secret that looks like JSON as such.
                self._key = jwk.construct(secret, "HS256")
                self._secret = secret
        except (ConfigurationError, JOSEError, ValueError):
            # The file is being replaced: the last secret is still good.
            if self._key is None:
                raise SigningKeysUnavailable(
                    "The signing secret cannot be read right now. Try again later."
                ) from None
        return self._key
