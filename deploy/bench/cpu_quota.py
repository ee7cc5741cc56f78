"""Cores of a service that are small ones, so that two real ones bear many of them, the database and the load."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["small_cores"]

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 100_000


@contextlib.contextmanager
def small_cores(name: str, cores: float) -> Iterator[Callable[[], None]]:
    """Yield what a process calls to use no more CPU time than this from then on, its children included.

    The kernel stops it for the rest of each tenth of a second, as it does with a container beyond its limit.

    Args:
        name: Of the control group, which is removed in the end, when no process is left in it.
        cores: CPU seconds a second.

    Raises:
        PermissionError: Only root may make control groups.
    """
    # Version 1 of control groups has a folder for each kind of resource.
    first_version = (_ROOT / "cpu").is_dir()
    group = (_ROOT / "cpu" if first_version else _ROOT) / f"task-service-bench-{os.getpid()}-{name}"
    quota = round(cores * _PERIOD_MICROSECONDS)
    group.mkdir()
    try:
        if first_version:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        yield lambda: _enter(group)
    finally:
        group.rmdir()


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))
