"""Limits of the HTTP contract, which no deployment changes; the tables enforce the same limits."""

from typing import Final, Literal

__all__ = [
    "DESCRIPTION_MAX_LENGTH",
    "PRIORITIES",
    "TAGS_MAX_COUNT",
    "TAG_MAX_LENGTH",
    "TITLE_MAX_LENGTH",
    "Priority",
]

TITLE_MAX_LENGTH: Final = 200
DESCRIPTION_MAX_LENGTH: Final = 10_000
TAG_MAX_LENGTH: Final = 50
"""Characters (Unicode code points)."""

TAGS_MAX_COUNT: Final = 20

type Priority = Literal["none", "low", "medium", "high"]
PRIORITIES: Final[tuple[Priority, ...]] = ("none", "low", "medium", "high")
"""In ascending order. The table stores the index, NULL for `none`."""
