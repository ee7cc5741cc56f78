"""Cores of a service that are small ones, so that two real ones bear many of them, the database and the load."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuQuota", "small_cores"]

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 100_000


@dataclass(frozen=True)
class CpuQuota:
    """A control group of processes that together use no more CPU time than a limit."""

    group: Path
    is_first_version: bool
    """Version 1 of control groups has a folder for each kind of resource."""

    def enter(self) -> None:
        """Put the calling process into it; its children follow."""
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def limit(self, cores: float) -> None:
        """Stop its processes for the rest of each tenth of a second beyond so many CPU seconds a second.

        A kernel does so with a container beyond its limit.
        """
        quota = round(cores * _PERIOD_MICROSECONDS)
        if self.is_first_version:
            (self.group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (self.group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (self.group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")


@contextlib.contextmanager
def small_cores(name: str) -> Iterator[CpuQuota]:
    """Make a control group, without a limit at first.

    Args:
        name: Of the control group, which is removed in the end, when no process is left in it.

    Raises:
        PermissionError: Only root may make control groups.
    """
    is_first_version = (_ROOT / "cpu").is_dir()
    group = (_ROOT / "cpu" if is_first_version else _ROOT) / f"task-service-bench-{os.getpid()}-{name}"
    group.mkdir()
    try:
        yield CpuQuota(group, is_first_version)
    finally:
        group.rmdir()
