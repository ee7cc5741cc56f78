"""How a time is typed."""

import pytest
import typer

from backend.devtools.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3600", 3600), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("365d", 31_536_000)],
)
def test_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1.5h", "1w", "h", "366d", "31536001", "1h30m"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"90s, 15m, 1h or 7d"):
        parse_duration(text)
