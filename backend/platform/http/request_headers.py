"""Reads a request's headers as they came: Starlette's class decodes each of them, for each that is asked for."""

from starlette.types import Scope

__all__ = ["header_values"]


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of a header, one for each line that has it.

    Args:
        scope: The request's; its header names are in lower case (ASGI, HTTP connection scope).
        name: In lower case.
    """
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]
