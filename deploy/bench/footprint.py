"""What a worker holds and how soon it serves: resident memory over many requests, time to import and to be ready."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression, mean, median
from time import perf_counter

from deploy.bench.load import measure, write_script
from deploy.bench.report import say
from deploy.bench.runner import Place
from deploy.bench.variants import Variant, run_server

__all__ = ["footprint", "growth_per_million"]

_LEAST_SAMPLES = 5
_WORKERS = 4
_IMPORT = "import time; began = time.perf_counter(); import backend.main; print(time.perf_counter() - began)"


def growth_per_million(requests: Sequence[float], resident: Sequence[float]) -> float:
    """Return by how much memory grows in a million requests, by least squares, without the first half.

    Caches fill and the heap settles in the beginning; a leak goes on.

    Args:
        requests: Answered so far, at each sample; at least four samples.
        resident: Memory then, in any unit, which is also the result's.
    """
    half = len(requests) // 2
    return linear_regression(requests[half:], resident[half:]).slope * 1_000_000


async def footprint(place: Place, *, requests: int, seconds: int, starts: int = 5) -> None:
    """Print both.

    Args:
        place: Where to measure.
        requests: To answer while memory is sampled.
        seconds: Between samples.
        starts: Of which the median counts.
    """
    variant = Variant("ours")
    say(f"import: {median(_import_seconds() for _ in range(starts)):.2f} s, median of {starts}")
    ready = []
    for _ in range(starts):
        began = perf_counter()
        async with run_server(variant, place.folder, place.environment(variant)):
            ready.append(perf_counter() - began)
    say(f"from the start of Gunicorn to the first answer: {median(ready):.2f} s, median of {starts}")
    script = write_script(place.folder, "footprint", "mixed", place.outside.tokens("HS256"))
    answered, resident = [0.0], []
    async with run_server(variant, place.folder, place.environment(variant)) as server:
        worker = server.pids()[1]
        resident.append(_memory(worker, "Rss"))
        say(f"resident at the start: {resident[0]:.0f} MiB, {_memory(worker, 'Pss'):.0f} of it its share")
        while answered[-1] < requests or len(answered) < _LEAST_SAMPLES:
            sample = await measure(server, script, seconds=seconds)
            answered.append(answered[-1] + sample.per_second * seconds)
            resident.append(_memory(worker, "Rss"))
        say(
            f"after {answered[-1]:,.0f} requests: {resident[-1]:.0f} MiB, {_memory(worker, 'Pss'):.0f} its share; "
            f"at most {max(resident):.0f}; {growth_per_million(answered, resident):+.1f} MiB a million requests"
        )
    several = Variant("ours, several workers", environment={"WORKERS": str(_WORKERS)})
    async with run_server(several, place.folder, place.environment(several)) as server:
        await measure(server, script, seconds=seconds)
        shares = [_memory(pid, "Pss") for pid in server.pids()]
        say(f"{_WORKERS} workers: {sum(shares):.0f} MiB together, {mean(shares[1:]):.0f} the share of each")


def _import_seconds() -> float:
    command = [sys.executable, "-c", _IMPORT]
    return float(subprocess.check_output(command, text=True))  # noqa: S603 - a program of ours


def _memory(pid: int, kind: str) -> float:
    """Return a process's memory in MiB: Rss, all that is in RAM; Pss, with pages that are shared divided."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{kind}:")).split()[1]) / 1024
