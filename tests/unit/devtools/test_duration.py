"""Durations on the command line."""

import pytest
import typer

from backend.devtools.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3600", 3600), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("365d", 31_536_000)],
)
def test_duration_is_an_integer_with_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1.5h", "1w", "h", "366d", "31536001", "1h30m"])
def test_other_text_is_rejected(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"90s, 15m, 1h or 7d"):
        parse_duration(text)
