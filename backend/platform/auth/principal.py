"""Who is calling, as far as a verified token tells."""

from dataclasses import dataclass

__all__ = ["Principal"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller named by a verified token.

    Attributes:
        user_id: The token's `sub`, never empty.
    """

    user_id: str
