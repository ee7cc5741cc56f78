"""CPU, memory and files of the master and its workers, from /proc, where the system has one."""

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

    The CPU time of workers that are gone is what the master's record of its waited-for
    children holds, so that the counter never goes back.

    Args:
        master: Process id of the master, None where there is none.
        workers: Process ids of the workers.
    """
    cpu = CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the processes, dead workers included.", labels=["role"]
    )
    memory = GaugeMetricFamily(
        "process_resident_memory_bytes", "Memory that the processes hold.", labels=["role"]
    )
    files = GaugeMetricFamily("process_open_fds", "Open file descriptors.", labels=["role"])
    started = GaugeMetricFamily(
        "process_start_time_seconds", "Start of the oldest process, Unix time.", labels=["role"]
    )
    for role, usages, gone in _by_role(master, workers):
        cpu.add_metric([role], sum(usage.cpu_seconds for usage in usages) + gone)
        memory.add_metric([role], sum(usage.resident_bytes for usage in usages))
        files.add_metric([role], sum(usage.open_files for usage in usages))
        started.add_metric([role], min(usage.started_seconds for usage in usages))
    yield from (cpu, memory, files, started)


def _by_role(master: int | None, workers: Sequence[int]) -> Iterator[tuple[str, list[_Usage], float]]:
    gone = 0.0
    found: list[_Usage] = []
    for _ in range(_ATTEMPTS):
        before = _usage(master) if master else None
        found = [usage for worker in workers if (usage := _usage(worker))]
        after = _usage(master) if master else None
        # A worker that ended between the two would count twice, or not at all.
        if before is None or after is None or before.children_cpu_seconds == after.children_cpu_seconds:
            break
    if master and after:
        gone = after.children_cpu_seconds
        yield "master", [after], 0.0
    if found:
        yield "worker", found, gone


def _usage(process_id: int) -> _Usage | None:
    folder = Path(f"/proc/{process_id}")
    try:
        # The name in parentheses may hold spaces; proc(5) counts fields from there.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        files = len(os.listdir(folder / "fd"))  # noqa: PTH208 - a list of names is all that is needed
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
    raise ValueError("/proc/stat names no boot time")
