"""How long something lasts, as a person types it."""

import re

import typer

__all__ = ["parse_duration"]

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_MAX_SECONDS = 365 * _UNIT_SECONDS["d"]


def parse_duration(text: str) -> int:
    """Return the seconds that `3600`, `90s`, `15m`, `1h` or `7d` means.

    Args:
        text: A whole number and its unit, seconds without one; from one second to 365 days.

    Raises:
        typer.BadParameter: It is nothing of that kind.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= _MAX_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a time such as 90s, 15m, 1h or 7d, up to 365d")
    return seconds
