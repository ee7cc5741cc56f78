"""The metrics of several workers as one: shared files, and the sums of workers that are gone."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = [
    "DIRECTORY_VARIABLE",
    "collect_multiprocess",
    "count_worker_exit",
    "live_workers",
    "mark_worker_dead",
    "metrics_directory",
    "reset_multiproc_dir",
]

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Set before the first metric is made, this makes prometheus-client keep its values in files there."""

_ARCHIVE = "archive"
_EXITS = ("gunicorn_worker_exits", "gunicorn_worker_exits_total", "Workers that ended, by reason.")
_LOCK_SECONDS = 1.0
_open_values: Callable[[str], Any] = MmapedDict


def metrics_directory() -> Path | None:
    """Return the folder that the workers share, None where there is one process only."""
    path = os.environ.get(DIRECTORY_VARIABLE)
    return Path(path) if path else None


def reset_multiproc_dir(directory: Path, exit_reasons: tuple[str, ...]) -> None:
    """Empty the folder: process ids repeat after a restart, and old files would be counted again.

    Args:
        directory: Made where it is missing.
        exit_reasons: Published as 0, so that a first exit is an increase.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for reason in exit_reasons:
        count_worker_exit(directory, reason, 0)


def count_worker_exit(directory: Path, reason: str, amount: int = 1) -> None:
    """Count a worker that ended. For the master alone, whose own numbers are in no file.

    Args:
        directory: The shared folder.
        reason: One of a fixed set.
        amount: How many.
    """
    metric, sample, text = _EXITS
    key = mmap_key(metric, sample, ["reason"], [reason], text)
    values = _open_values(str(directory / "counter_arbiter.db"))
    values.write_value(key, values.read_value(key)[0] + amount, 0.0)
    values.close()


def mark_worker_dead(directory: Path, process_id: int) -> None:
    """Add a dead worker's counts to the archive and remove its files.

    Without this each worker leaves its files for ever, since removing them alone would make
    counters go back. A reader that does not give up its lock within a second delays this
    until the next worker ends.

    Args:
        directory: The shared folder.
        process_id: Of a worker that has ended.
    """
    _remove(directory.glob(f"gauge_live*_{process_id}.db"))
    with _locked(directory, fcntl.LOCK_EX) as is_locked:
        if not is_locked:
            return
        for path in directory.glob("*_*.db"):
            kind, _, owner = path.stem.partition("_")
            if kind in {"counter", "histogram"} and owner.isdigit() and not _is_alive(int(owner)):
                _add_to_archive(directory, kind, path)
        _remove(
            path for path in directory.glob("exemplars_*.json") if not _is_alive(int(path.stem.split("_")[1]))
        )


def collect_multiprocess(directory: Path) -> list[Metric]:
    """Return the metrics of all workers, dead ones included. Reads files, so call it in a thread."""
    with _locked(directory, fcntl.LOCK_SH):
        # A worker that starts has made a file and not yet filled it.
        files = [str(path) for path in directory.glob("*.db") if _size(path)]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped


def live_workers(directory: Path) -> list[int]:
    """Return the process ids of the workers that publish gauges."""
    return [int(path.stem.rpartition("_")[2]) for path in directory.glob("gauge_livesum_*.db")]


def _add_to_archive(directory: Path, kind: str, path: Path) -> None:
    archive = directory / f"{kind}_{_ARCHIVE}.db"
    sums = _values(archive) if archive.exists() else {}
    for key, value in _values(path).items():
        sums[key] = sums.get(key, 0.0) + value
    draft = directory / f"{kind}_{_ARCHIVE}.draft"
    draft.unlink(missing_ok=True)
    written = _open_values(str(draft))
    for key, value in sums.items():
        written.write_value(key, value, 0.0)
    written.close()
    draft.replace(archive)
    path.unlink()


def _values(path: Path) -> dict[str, float]:
    entries = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]  # as above
    return {key: value for key, value, _, _ in entries}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # gauges of a worker that just ended
        return 0


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(paths: Iterator[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(directory: Path, kind: int) -> Iterator[bool]:
    """Hold the folder's lock; False where a frozen reader kept it for too long."""
    with (directory / "lock").open("a") as file:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(0.005)
            else:
                yield True
                return
