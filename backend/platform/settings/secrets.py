"""Where secrets come from: a variable, a file that is read at each use, or one made for development."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from backend.platform.errors import ConfigurationError

__all__ = ["SECRET_MIN_LENGTH", "development_secret", "read_secret"]

SECRET_MIN_LENGTH = 32


def read_secret(name: str, value: SecretStr | None, file: Path | None) -> str | None:
    """Return the secret in force now, None where there is none.

    Args:
        name: Of its variable, for the error.
        value: What the variable holds.
        file: What its `…_FILE` names; it goes before `value`.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if file is None:
        return value.get_secret_value() if value is not None else None
    try:
        return file.read_text("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE: {file} is not encoded in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE: {file} cannot be read ({error.strerror})") from None


def development_secret(folder: Path) -> str:
    """Return the secret of this checkout, made on first use, so that none stands in the code.

    Args:
        folder: Keeps it, readable for its owner only; made where absent.

    Raises:
        ConfigurationError: It can neither be read nor be made there.
    """
    path = folder / "development-secret"
    try:
        if not path.exists():
            _create_secret(path)
        secret = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(
            f"the development secret {path} cannot be read or made ({reason});"
            " set BETTER_AUTH_SECRET, or DATA_DIR to a folder of your own"
        ) from None
    if len(secret) < SECRET_MIN_LENGTH:
        raise ConfigurationError(f"the development secret {path} is too short; remove the file")
    return secret


def _create_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        # A link appears whole and only once, however many processes start together.
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
