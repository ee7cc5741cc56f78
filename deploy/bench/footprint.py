"""Measures the memory of a worker over many requests, the import time and the time to the first response."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression, mean, median
from time import perf_counter

from deploy.bench.load import measure, write_script
from deploy.bench.report import echo
from deploy.bench.runner import Environment
from deploy.bench.variants import Variant, run_server

__all__ = ["footprint", "growth_per_million"]

_MIN_SAMPLES = 5
_WORKERS = 4
_IMPORT = "import time; start = time.perf_counter(); import backend.main; print(time.perf_counter() - start)"


def growth_per_million(requests: Sequence[float], resident: Sequence[float]) -> float:
    """Return the memory growth per million requests, by linear regression over the second half of the samples.

    In the first half caches fill and the heap grows; a leak continues.

    Args:
        requests: Number of requests so far, at each sample; at least four samples.
        resident: Memory at each sample, in any unit. The result has the same unit.
    """
    half = len(requests) // 2
    return linear_regression(requests[half:], resident[half:]).slope * 1_000_000


async def footprint(environment: Environment, *, requests: int, seconds: int, starts: int = 5) -> None:
    """Print the start times and the memory.

    Args:
        environment: The benchmark environment.
        requests: Number of requests during which the memory is sampled.
        seconds: Interval of samples.
        starts: Number of starts. The median is printed.
    """
    variant = Variant("ours")
    echo(f"import: {median(_import_seconds() for _ in range(starts)):.2f} s, median of {starts}")
    ready = []
    for _ in range(starts):
        started = perf_counter()
        async with run_server(variant, environment.folder, environment.variables(variant)):
            ready.append(perf_counter() - started)
    echo(f"from the start of Gunicorn to the first response: {median(ready):.2f} s, median of {starts}")
    script = write_script(environment.folder, "footprint", "mixed", environment.stubs.tokens("HS256"))
    completed, resident = [0.0], []
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        worker = server.pids()[1]
        resident.append(_memory(worker, "Rss"))
        echo(f"resident at the start: {resident[0]:.0f} MiB, PSS {_memory(worker, 'Pss'):.0f} MiB")
        while completed[-1] < requests or len(completed) < _MIN_SAMPLES:
            sample = await measure(server, script, seconds=seconds)
            completed.append(completed[-1] + sample.per_second * seconds)
            resident.append(_memory(worker, "Rss"))
        echo(
            f"after {completed[-1]:,.0f} requests: {resident[-1]:.0f} MiB, PSS {_memory(worker, 'Pss'):.0f} MiB; "
            f"maximum {max(resident):.0f} MiB; growth {growth_per_million(completed, resident):+.1f} MiB per million requests"
        )
    several = Variant("ours, several workers", environment={"WORKERS": str(_WORKERS)})
    async with run_server(several, environment.folder, environment.variables(several)) as server:
        await measure(server, script, seconds=seconds)
        shares = [_memory(pid, "Pss") for pid in server.pids()]
        echo(f"{_WORKERS} workers: {sum(shares):.0f} MiB together, PSS {mean(shares[1:]):.0f} MiB per worker")


def _import_seconds() -> float:
    command = [sys.executable, "-c", _IMPORT]
    return float(subprocess.check_output(command, text=True))  # noqa: S603 - a constant command


def _memory(pid: int, kind: str) -> float:
    """Return a process's memory in MiB: Rss is the resident set, Pss divides shared pages between their processes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{kind}:")).split()[1]) / 1024
