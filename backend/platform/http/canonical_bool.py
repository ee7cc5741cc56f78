"""Booleans in a query, in one canonical spelling."""

from pydantic import BeforeValidator

__all__ = ["CANONICAL_BOOL"]


def _spelled_out(value: object) -> object:
    # Pydantic also accepts 1, on, yes and TRUE: several URLs of one resource.
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value


CANONICAL_BOOL = BeforeValidator(_spelled_out)
"""Goes last in an `Annotated[bool, …]`."""
