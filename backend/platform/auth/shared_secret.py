"""The HS256 key shared with the frontend: read at each use; the last valid key is kept if reading fails."""

from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JOSEError

from backend.platform.errors import ConfigurationError, SigningKeysUnavailable
from backend.platform.settings.auth import AuthSettings

__all__ = ["SharedSecret"]


class SharedSecret:
    """Provides the HS256 verification key.

    Args:
        settings: Contain the secret or the path of its file.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._secret: str | None = None
        self._key: Key | None = None

    def key(self) -> Key:
        """Return the key for the current secret.

        Raises:
            SigningKeysUnavailable: The secret cannot be read and no earlier key exists.
        """
        try:
            secret = self._settings.signing_secret()
            if self._key is None or secret != self._secret:
                # Construct the key here: jwt.decode would parse a secret that looks like JSON.
                self._key = jwk.construct(secret, "HS256")
                self._secret = secret
        except (ConfigurationError, JOSEError, ValueError):
            # The file may be in the middle of a rotation: keep the last valid key.
            if self._key is None:
                raise SigningKeysUnavailable(
                    "The signing secret cannot be read right now. Try again later."
                ) from None
        return self._key
