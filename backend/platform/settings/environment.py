"""Reads variables from the environment and from `.env`, for the service and for its small commands.

`drain` and `healthcheck` use this module, so it does not import pydantic, which takes ten times as long to load.
"""

import io
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from backend.platform.errors import ConfigurationError
from backend.platform.service_name import SERVICE_NAME

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_RUN_DIR",
    "parse_port",
    "read_variables",
]

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8000
DEFAULT_RUN_DIR: Final = f".{SERVICE_NAME}/run"

ENV_FILE: Path | None = Path(".env")
"""Path relative to the working directory; None reads no file."""

_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
# The frontend signs with the exact value, so white space must not be removed on this side only.
_VERBATIM: Final = "better_auth_secret"


def read_variables(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that are set. The environment takes precedence over `.env`.

    White space and invisible characters at both ends of a value are removed. An empty value counts as unset.

    Args:
        names: Names in lower case. Variables match in any case; upper case takes precedence.

    Raises:
        ConfigurationError: `.env` cannot be read, or a value is enclosed in quotation marks or contains a control
            character.
    """
    requested = frozenset(names)
    variables: dict[str, str] = {}
    for source in (_read_file(ENV_FILE), os.environ):
        # Upper case comes last and overwrites other spellings.
        for name in sorted(source, key=str.isupper):
            key, value = name.lower(), source[name]
            if key in requested and value and (cleaned := _clean(key, value)):
                variables[key] = cleaned
    return variables


def parse_port(text: str) -> int:
    """Return a TCP port number, 0 to 65535.

    Raises:
        ValueError: The text is not such a number in decimal digits.
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
        raise ConfigurationError(f"{path} is not encoded in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); make it readable or remove it"
        ) from None
    if "\0" in text:
        raise ConfigurationError(f"{path} is not encoded in UTF-8 (it contains NUL bytes); save it as UTF-8")
    return dotenv_values(stream=io.StringIO(text))


def _clean(name: str, value: str) -> str:
    label = name.upper()
    visible = [index for index, character in enumerate(value) if not _is_blank(character)]
    cleaned = value[visible[0] : visible[-1] + 1] if visible else ""
    if name == _VERBATIM and cleaned and cleaned != value:
        raise ConfigurationError(
            f"{label} has white space at its start or end; remove it here and in the frontend"
        )
    if len(cleaned) > 1 and _QUOTES.get(cleaned[0]) == cleaned[-1]:
        raise ConfigurationError(f"{label} is enclosed in quotation marks; remove them")
    for character in () if name == _VERBATIM else cleaned:
        _check_character(label, character, is_path=name.endswith(("_dir", "_file")))
    return cleaned


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def _check_character(label: str, character: str, *, is_path: bool) -> None:
    """Reject control and format characters. A path may contain format characters and undecodable bytes."""
    category = unicodedata.category(character)
    if category == "Cs" and not is_path:
        raise ConfigurationError(f"{label} is not encoded in UTF-8; set it again")
    if category == "Cc" or (category == "Cf" and not is_path):
        raise ConfigurationError(
            f"{label} contains an invisible character (U+{ord(character):04X}); remove it"
        )
