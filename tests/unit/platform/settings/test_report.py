"""The settings table states the range of every number."""

import pytest
from pydantic import Field

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.report import settings_table


class _Group(SettingsGroup):
    closed: int = Field(1, ge=1, le=64, description="Workers.")
    open_below: float = Field(1.5, gt=0, le=60, description="Seconds.")
    unbounded: int = Field(0, ge=0, description="Requests.")
    text: str = Field("", description="A path.")


@pytest.mark.parametrize(
    "row",
    [
        "| `CLOSED` | `1` | Workers. Range: 1 to 64. |",
        "| `OPEN_BELOW` | `1.5` | Seconds. Range: above 0, up to 60. |",
        "| `UNBOUNDED` | `0` | Requests. Minimum: 0. |",
        "| `TEXT` |  | A path. |",
    ],
)
def test_a_row_ends_with_the_range_of_a_number(row: str) -> None:
    assert row in settings_table(_Group)
