"""On which versions of a task a request depends (RFC 9110 §13)."""

from dataclasses import dataclass

__all__ = ["Precondition"]


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` and `If-None-Match` ask of a task's version.

    Attributes:
        required: The task must be at one of these versions; None asks nothing.
        excluded: The task must be at none of these versions; None asks nothing.
        excludes_all: `If-None-Match: *`, which no existing task meets.
    """

    required: tuple[int, ...] | None = None
    excluded: tuple[int, ...] | None = None
    excludes_all: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether every version will do."""
        return self.required is None and self.excluded is None and not self.excludes_all

    def requires_other(self, version: int) -> bool:
        """Tell whether `If-Match` fails for this version."""
        return self.required is not None and version not in self.required

    def excludes(self, version: int) -> bool:
        """Tell whether `If-None-Match` fails for this version."""
        return self.excludes_all or (self.excluded is not None and version in self.excluded)
