"""The metrics of all workers: shared files of prometheus-client, and an archive of dead workers' counters."""

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
"""Environment variable that enables the multiprocess mode of prometheus-client, if set before its import."""

_ARCHIVE = "archive"
_EXITS = ("gunicorn_worker_exits", "gunicorn_worker_exits_total", "Workers that ended, by reason.")
_LOCK_SECONDS = 1.0
_open_values: Callable[[str], Any] = MmapedDict


def metrics_directory() -> Path | None:
    """Return the directory that the workers share, or None if there is only one process."""
    path = os.environ.get(DIRECTORY_VARIABLE)
    return Path(path) if path else None


def reset_multiproc_dir(directory: Path, exit_reasons: tuple[str, ...]) -> None:
    """Empty the directory: process ids repeat after a restart, so old files would be counted again.

    Args:
        directory: The shared directory. It is created if it is missing.
        exit_reasons: Labels that start at 0, so that the first exit is an increase.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for reason in exit_reasons:
        count_worker_exit(directory, reason, 0)


def count_worker_exit(directory: Path, reason: str, amount: int = 1) -> None:
    """Count the exit of a worker. Only the master calls this; it has no other file in the directory.

    Args:
        directory: The shared directory.
        reason: The exit reason, one of a fixed set.
        amount: The increment.
    """
    metric, sample, text = _EXITS
    key = mmap_key(metric, sample, ["reason"], [reason], text)
    values = _open_values(str(directory / "counter_arbiter.db"))
    values.write_value(key, values.read_value(key)[0] + amount, 0.0)
    values.close()


def mark_worker_dead(directory: Path, process_id: int) -> None:
    """Add the counters of a dead worker to the archive and remove its files.

    Otherwise the files of dead workers would accumulate: removing them without the archive would
    decrease counters. If a reader holds its lock for more than a second, this happens when the
    next worker ends.

    Args:
        directory: The shared directory.
        process_id: Process id of the ended worker.
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
    """Return the metrics of all workers, including dead ones. It reads files, so call it in a thread."""
    with _locked(directory, fcntl.LOCK_SH):
        # Skip empty files, which a starting worker has created and not yet filled.
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
    except FileNotFoundError:  # gauges of a worker that has just ended
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
    """Hold the lock of the directory. Yield False if another process held it for too long."""
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
