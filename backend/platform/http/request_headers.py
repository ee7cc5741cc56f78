"""Reads headers from the ASGI scope. Starlette's Headers decodes all headers on each lookup."""

from starlette.types import Scope

__all__ = ["header_values"]


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a header field, in order.

    Args:
        scope: HTTP connection scope (ASGI), with header names in lower case.
        name: Name of the field in lower case.
    """
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]
