"""Limits of the HTTP contract, which no deployment changes; the tables enforce the same limits."""

from typing import Final

__all__ = ["DESCRIPTION_MAX_LENGTH", "TITLE_MAX_LENGTH"]

TITLE_MAX_LENGTH: Final = 200
DESCRIPTION_MAX_LENGTH: Final = 10_000
"""Characters (Unicode code points)."""
