"""A metric's number in a file that the workers share, at half the price of prometheus-client's own."""

import os
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from backend.platform.observability.multiprocess_metrics import metrics_directory

__all__ = ["LockFreeMmapValue", "install"]


class LockFreeMmapValue:
    """One number, written by the event loop of one process, read by whoever is scraped.

    prometheus-client's own takes a lock and asks for the process's id with each count, in case of
    threads and of a fork: here is one thread, and `attach_after_fork` is told of the fork. It makes eight counts a request.
    """

    _multiprocess = True
    _directory: ClassVar[Path | None] = None
    _unattached: ClassVar[list["LockFreeMmapValue"]] = []
    _files: ClassVar[dict[str, Any]] = {}

    def __init__(self, kind: str, *names: Any, multiprocess_mode: str = "", **_others: Any) -> None:
        """Find the number, or attach_after_fork one; the arguments are those that prometheus-client gives its own."""
        self._kind = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        self._key = mmap_key(*names)
        self._value = 0.0
        # The number and its time: here alone, until there is a file for them.
        self._shared: Any = [0.0, 0.0]
        if self._directory is None:
            self._unattached.append(self)
        else:
            self._share(self._directory)

    @classmethod
    def attach_after_fork(cls, directory: Path) -> None:
        """Keep the numbers of this process in files of its own: after a worker's fork, before it serves."""
        cls._directory = directory
        for value in cls._unattached:
            value._share(directory)  # noqa: SLF001 - its own class
        cls._unattached.clear()

    def _share(self, directory: Path) -> None:
        if self._kind not in self._files:
            path = directory / f"{self._kind}_{os.getpid()}.db"
            self._files[self._kind] = MmapedDict(str(path))  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        file = self._files[self._kind]
        self._value += file.read_value(self._key)[0]
        place = file._positions[self._key]  # noqa: SLF001 - by its own method, a count costs twice as much
        # When the file grows it is mapped once more; what is written through this map is in the file all the same.
        self._shared = memoryview(file._m)[place : place + 16].cast("d")  # noqa: SLF001 - as above
        self._shared[0] = self._value

    def inc(self, amount: float) -> None:
        """Add to the number."""
        self._value += amount
        self._shared[0] = self._value

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        self._value = value
        self._shared[0] = value
        if timestamp is not None:
            self._shared[1] = timestamp

    def get(self) -> float:
        """Return the number."""
        return self._value

    def set_exemplar(self, exemplar: object) -> None:
        """Keep none: ours travel apart (`exemplars.py`)."""

    def get_exemplar(self) -> None:
        """Return none."""


def install() -> None:
    """Make the numbers of metrics fit to be shared, where there are several workers."""
    if metrics_directory() is not None:
        values.ValueClass = LockFreeMmapValue
