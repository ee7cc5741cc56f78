"""CPU, memory and open files of the master and its workers, from /proc (Linux only)."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

__all__ = ["collect_processes"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ATTEMPTS = 5


class _Usage(NamedTuple):
    cpu_seconds: float
    children_cpu_seconds: float
    resident_bytes: float
    open_files: float
    started_seconds: float


def collect_processes(master: int | None, workers: Sequence[int]) -> Iterator[Metric]:
    """Return process metrics summed by role.

    The CPU time of dead workers is that of the master's waited-for children, so that the counter
    never decreases.

    Args:
        master: Process id of the master; None without a master.
        workers: Process ids of the workers.
    """
    cpu = CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the processes, dead workers included.", labels=["role"]
    )
    memory = GaugeMetricFamily(
        "process_resident_memory_bytes", "Resident memory of the processes.", labels=["role"]
    )
    files = GaugeMetricFamily("process_open_fds", "Open file descriptors.", labels=["role"])
    started = GaugeMetricFamily(
        "process_start_time_seconds", "Start time of the oldest process, in Unix time.", labels=["role"]
    )
    for role, usages, ended_seconds in _by_role(master, workers):
        cpu.add_metric([role], sum(usage.cpu_seconds for usage in usages) + ended_seconds)
        memory.add_metric([role], sum(usage.resident_bytes for usage in usages))
        files.add_metric([role], sum(usage.open_files for usage in usages))
        started.add_metric([role], min(usage.started_seconds for usage in usages))
    yield from (cpu, memory, files, started)


def _by_role(master: int | None, workers: Sequence[int]) -> Iterator[tuple[str, list[_Usage], float]]:
    ended_seconds = 0.0
    found: list[_Usage] = []
    for _ in range(_ATTEMPTS):
        before = _usage(master) if master else None
        found = [usage for worker in workers if (usage := _usage(worker))]
        after = _usage(master) if master else None
        # A worker that ends in between would count twice, or not at all.
        if before is None or after is None or before.children_cpu_seconds == after.children_cpu_seconds:
            break
    if master and after:
        ended_seconds = after.children_cpu_seconds
        yield "master", [after], 0.0
    if found:
        yield "worker", found, ended_seconds


def _usage(process_id: int) -> _Usage | None:
    directory = Path(f"/proc/{process_id}")
    try:
        # The name in parentheses can contain spaces, so split after it (proc(5)).
        fields = (directory / "stat").read_text().rpartition(")")[2].split()
        files = len(os.listdir(directory / "fd"))  # noqa: PTH208 - only the number is needed
        boot_seconds = _boot_seconds()
    except (OSError, ValueError):
        return None
    user, system, children_user, children_system = (int(field) / _TICKS_PER_SECOND for field in fields[11:15])
    return _Usage(
        user + system,
        children_user + children_system,
        int(fields[21]) * _PAGE_BYTES,
        files,
        boot_seconds + int(fields[19]) / _TICKS_PER_SECOND,
    )


def _boot_seconds() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("/proc/stat has no boot time")
