"""Reads variables from the environment and from `.env`: one reader for the service and its small commands.

It imports little on purpose: `drain` and `probe` use it, and pydantic would multiply their start-up time by ten.
"""

import io
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from backend.platform.errors import ConfigurationError

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_RUN_DIR",
    "parse_port",
    "read_variables",
]

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8000
DEFAULT_RUN_DIR: Final = ".task-service/run"

ENV_FILE: Path | None = Path(".env")
"""Read in the working directory; None reads no file."""

_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
# The frontend signs with the secret exactly as it is, so white space must not be removed here alone.
_VERBATIM: Final = "better_auth_secret"


def read_variables(names: Iterable[str]) -> dict[str, str]:
    """Return the values of variables that are set, from the environment and, below it, from `.env`.

    White space and invisible characters at both ends are removed; what is empty then counts as unset.

    Args:
        names: In lower case. The case of the variables themselves does not matter.

    Raises:
        ConfigurationError: `.env` cannot be read, or a value has quotation marks around it or a control character in it.
    """
    wanted = frozenset(names)
    found: dict[str, str] = {}
    for source in (_read_file(ENV_FILE), os.environ):
        # Where one name is written in two cases, upper case wins.
        for name in sorted(source, key=str.isupper):
            key, value = name.lower(), source[name]
            if key in wanted and value and (cleaned := _clean(key, value)):
                found[key] = cleaned
    return found


def parse_port(text: str) -> int:
    """Return the number of a TCP port, 0 to 65535.

    Raises:
        ValueError: It is not such a number in decimal digits.
    """
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 65535):  # noqa: PLR2004 - 16 bits
        raise ValueError("must be a port number from 0 to 65535")
    return int(text)


def _read_file(path: Path | None) -> Mapping[str, str | None]:
    if path is None:
        return {}
    try:
        if not path.is_file():
            return {}
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not encoded in UTF-8; save it again as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); make it readable, or remove it"
        ) from None
    if "\0" in text:
        raise ConfigurationError(f"{path} is not encoded in UTF-8 (it has NUL bytes); save it again as UTF-8")
    return dotenv_values(stream=io.StringIO(text))


def _clean(name: str, value: str) -> str:
    label = name.upper()
    visible = [index for index, character in enumerate(value) if not _is_blank(character)]
    cleaned = value[visible[0] : visible[-1] + 1] if visible else ""
    if name == _VERBATIM and cleaned and cleaned != value:
        raise ConfigurationError(
            f"{label} has white space before or after it; remove that, here and in the frontend"
        )
    if len(cleaned) > 1 and _QUOTES.get(cleaned[0]) == cleaned[-1]:
        raise ConfigurationError(f"{label} has quotation marks around its value; remove them")
    for character in () if name == _VERBATIM else cleaned:
        _check_character(label, character, is_path=name.endswith(("_dir", "_file")))
    return cleaned


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def _check_character(label: str, character: str, *, is_path: bool) -> None:
    """Reject characters that cannot be seen; a path may have any that is no control character."""
    category = unicodedata.category(character)
    if category == "Cs" and not is_path:
        raise ConfigurationError(f"{label} is not encoded in UTF-8")
    if category == "Cc" or (category == "Cf" and not is_path):
        raise ConfigurationError(
            f"{label} has an invisible character in it (U+{ord(character):04X}); remove it"
        )
