"""CPU quotas (cgroups), so that two real cores can run many workers with small ones, the database and the load."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuQuota", "create_cpu_quota"]

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 100_000


@dataclass(frozen=True)
class CpuQuota:
    """A cgroup with a limit of CPU time for all of its processes together."""

    group: Path
    is_v1: bool
    """Whether the system uses cgroup v1, which has a hierarchy per controller."""

    def enter(self) -> None:
        """Move the calling process into the cgroup. Its children inherit it."""
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def limit(self, cores: float) -> None:
        """Limit the CPU time. The kernel throttles the processes for the rest of each period of 0.1 s.

        Container runtimes enforce CPU limits in the same way.

        Args:
            cores: CPU seconds per second.
        """
        quota = round(cores * _PERIOD_MICROSECONDS)
        if self.is_v1:
            (self.group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (self.group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (self.group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")


@contextlib.contextmanager
def create_cpu_quota(name: str) -> Iterator[CpuQuota]:
    """Create a cgroup without a limit, and remove it when the block ends. No process may be left in it then.

    Args:
        name: Suffix of the cgroup's name.

    Raises:
        PermissionError: The process is not root.
    """
    is_v1 = (_ROOT / "cpu").is_dir()
    group = (_ROOT / "cpu" if is_v1 else _ROOT) / f"task-service-bench-{os.getpid()}-{name}"
    group.mkdir()
    try:
        yield CpuQuota(group, is_v1)
    finally:
        group.rmdir()
