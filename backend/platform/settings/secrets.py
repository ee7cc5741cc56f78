"""Sources of secrets: a variable, a file that is read at each use, or a secret generated for development."""

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
    """Return the current value of a secret, None if it is not configured.

    Args:
        name: Variable name for error messages.
        value: Value of the variable.
        file: File that the `…_FILE` variable names; it takes precedence over `value`.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if file is None:
        return value.get_secret_value() if value is not None else None
    try:
        return file.read_text("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE: {file} is not encoded in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            f"{name}_FILE: {file} cannot be read ({error.strerror}); check the path and its permissions"
        ) from None


def development_secret(data_dir: Path) -> str:
    """Return the secret of this checkout, generated on first use, so that the code contains no secret.

    Args:
        data_dir: Directory of the secret's file, which only its owner can read. Created if absent.

    Raises:
        ConfigurationError: The file can neither be read nor created, or is too short.
    """
    path = data_dir / "development-secret"
    try:
        if not path.exists():
            _create_secret(path)
        secret = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(
            f"the development secret {path} cannot be read or created ({reason});"
            " set BETTER_AUTH_SECRET, or set DATA_DIR to a writable directory"
        ) from None
    if len(secret) < SECRET_MIN_LENGTH:
        raise ConfigurationError(f"the development secret {path} is too short; delete the file")
    return secret


def _create_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        # Creating a hard link is atomic, so processes that start together agree on one complete file.
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
