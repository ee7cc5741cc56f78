"""The authenticated caller of a request."""

from dataclasses import dataclass

__all__ = ["Principal"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller that a verified token identifies.

    Attributes:
        user_id: `sub` claim of the token, 1 to 255 characters.
    """

    user_id: str
