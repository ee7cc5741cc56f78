"""Where secrets come from: a variable, a file that is read at each use, or one made for development."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

__all__ = ["ConfigurationError", "development_secret", "read_secret"]


class ConfigurationError(Exception):
    """The service cannot start with these settings; the text names the variable and the remedy."""


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
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}_FILE: {file} cannot be read ({type(error).__name__})") from error


def development_secret(folder: Path) -> str:
    """Return the secret of this checkout, made on first use, so that none stands in the code.

    Args:
        folder: Keeps it, readable for its owner only; made where absent.
    """
    path = folder / "development-secret"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder) as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            # A link appears whole and only once, however many processes start together.
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()
