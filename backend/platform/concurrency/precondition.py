"""Preconditions of a request on the version of a resource (RFC 9110 §13)."""

from dataclasses import dataclass

__all__ = ["Precondition"]


@dataclass(frozen=True, slots=True)
class Precondition:
    """The conditions of `If-Match` and `If-None-Match` on the version of a resource.

    Attributes:
        if_match: The version must be one of these. None is no condition.
        if_none_match: The version must be none of these. None is no condition.
        if_none_match_any: `If-None-Match: *`, which fails for every existing resource.
    """

    if_match: tuple[int, ...] | None = None
    if_none_match: tuple[int, ...] | None = None
    if_none_match_any: bool = False

    @property
    def is_unconditional(self) -> bool:
        """Whether every version meets the precondition."""
        return self.if_match is None and self.if_none_match is None and not self.if_none_match_any

    def fails_if_match(self, version: int) -> bool:
        """Return whether `If-Match` fails for this version."""
        return self.if_match is not None and version not in self.if_match

    def excludes(self, version: int) -> bool:
        """Return whether `If-None-Match` fails for this version."""
        return self.if_none_match_any or (self.if_none_match is not None and version in self.if_none_match)
