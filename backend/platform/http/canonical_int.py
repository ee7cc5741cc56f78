"""Integers in a path or a query, in one canonical spelling."""

import re

from pydantic import BeforeValidator

__all__ = ["CANONICAL_INT"]

_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]*)")


def _in_digits(value: object) -> object:
    # Pydantic also accepts 1.0, +1, 1_0 and a leading space: several URLs of one resource.
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("must be a whole number in digits")
    return value


CANONICAL_INT = BeforeValidator(_in_digits)
"""Goes last in an `Annotated[int, …]`: bounds after it would be missing from OpenAPI."""
