"""Whole numbers in a path or a query, in the one way to write each."""

import re

from pydantic import BeforeValidator

__all__ = ["CANONICAL_INT"]

_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]*)")


def _in_digits(value: object) -> object:
    # Pydantic alone would take 1.0, +1, 1_0 and a space before it too: several addresses for one task.
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("must be a whole number in digits")
    return value


CANONICAL_INT = BeforeValidator(_in_digits)
"""Stands last in an `Annotated[int, …]`: bounds behind it would be missing from OpenAPI."""
