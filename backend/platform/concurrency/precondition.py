"""On which versions of a task a request depends (RFC 9110 §13)."""

from dataclasses import dataclass

__all__ = ["Precondition"]


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` and `If-None-Match` ask of a task's version.

    Attributes:
        if_match: The task must be at one of these versions; None asks nothing.
        if_none_match: The task must be at none of these versions; None asks nothing.
        if_none_match_any: `If-None-Match: *`, which no existing task meets.
    """

    if_match: tuple[int, ...] | None = None
    if_none_match: tuple[int, ...] | None = None
    if_none_match_any: bool = False

    @property
    def is_unconditional(self) -> bool:
        """Whether every version will do."""
        return self.if_match is None and self.if_none_match is None and not self.if_none_match_any

    def fails_if_match(self, version: int) -> bool:
        """Tell whether `If-Match` fails for this version."""
        return self.if_match is not None and version not in self.if_match

    def excludes(self, version: int) -> bool:
        """Tell whether `If-None-Match` fails for this version."""
        return self.if_none_match_any or (self.if_none_match is not None and version in self.if_none_match)
