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
        self._write = self._files[prefix].write_value
        self._key = mmap_key(*names)
        self._value: float = self._files[prefix].read_value(self._key)[0]

    def inc(self, amount: float) -> None:
        """Add to the number."""
        self._value += amount
        self._write(self._key, self._value, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        self._value = value
        self._write(self._key, value, timestamp or 0.0)

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
