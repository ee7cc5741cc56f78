"""Parses durations on the command line."""

import re

import typer

__all__ = ["parse_duration"]

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_MAX_SECONDS = 365 * _UNIT_SECONDS["d"]


def parse_duration(text: str) -> int:
    """Return a duration in seconds.

    Args:
        text: An integer with the unit s, m, h or d, such as `90s`; no unit means seconds. 1 second to 365 days.

    Raises:
        typer.BadParameter: The text is not such a duration.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= _MAX_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a duration from 1s to 365d, such as 90s, 15m, 1h or 7d")
    return seconds
