"""A metric's number in a file that the workers share, at half the price of prometheus-client's own."""

import os
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from backend.observability.worker_metrics import metrics_directory

__all__ = ["SharedValue", "share_values"]


class SharedValue:
    """One number, written by the event loop of one process, read by whoever is scraped.

    prometheus-client's own takes a lock and asks for the process's id with each count, in case of
    threads and of a fork after the import: here is neither. It makes eight counts a request.
    """

    _multiprocess = True
    _files: ClassVar[dict[str, Any]] = {}
    directory: ClassVar[Path]

    def __init__(self, kind: str, *names: Any, multiprocess_mode: str = "", **_others: Any) -> None:
        """Find the number, or begin one; the arguments are those that prometheus-client gives its own."""
        prefix = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        if prefix not in self._files:
            path = self.directory / f"{prefix}_{os.getpid()}.db"
            self._files[prefix] = MmapedDict(str(path))  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        file, key = self._files[prefix], mmap_key(*names)
        self._value: float = file.read_value(key)[0]
        place = file._positions[key]  # noqa: SLF001 - by its own method, a count costs twice as much
        # When the file grows it is mapped once more; what is written through this map is in the file all the same.
        self._shared = memoryview(file._m)[place : place + 16].cast("d")  # noqa: SLF001 - as above

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


def share_values() -> None:
    """Keep the numbers of metrics that are made from now on in files, where there are several workers."""
    directory = metrics_directory()
    if directory is not None:
        SharedValue.directory = directory
        values.ValueClass = SharedValue
