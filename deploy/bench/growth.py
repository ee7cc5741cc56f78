"""How cost grows from one worker to eight, against what the model of `capacity` says."""

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from deploy.bench.capacity import Costs, Deployment, capacity
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.report import middle, save_chart, say
from deploy.bench.runner import Place
from deploy.bench.variants import Server, Variant, child_pids, cpu_seconds, run_server

__all__ = ["growth"]

_CONNECTIONS_OF_EACH = 10
_CLIENTS = 64
_PODS = (1, 2, 6, 20, 100)


@dataclass(frozen=True)
class _Cost:
    """CPU seconds so far of the service, the database and the load."""

    service: float
    database: float
    load: float

    @classmethod
    def now(cls, place: Place, server: Server) -> "_Cost":
        postmaster = int(next(place.folder.rglob("postmaster.pid")).read_text().split()[0])
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of wrk, which has ended; the others go on
        return cls(
            server.cpu_seconds(),
            sum(map(cpu_seconds, child_pids(postmaster))),
            used.ru_utime + used.ru_stime,
        )

    def since(self, earlier: "_Cost", requests: float) -> "_Cost":
        """Return the cost of one of so many requests."""
        return _Cost(
            (self.service - earlier.service) / requests,
            (self.database - earlier.database) / requests,
            (self.load - earlier.load) / requests,
        )


async def growth(
    place: Place,
    *,
    seconds: int,
    rounds: int,
    numbers: Sequence[int] = (1, 2, 4, 8),
    chart: Path | None = None,
) -> None:
    """Print the table of measured and predicted answers per second, and draw it.

    Args:
        place: Where to measure; everything shares its cores, the load among it.
        seconds: Length of a sample.
        rounds: Samples of each; medians are shown.
        numbers: Of workers; the first is what the model is made from.
        chart: PNG to write.
    """
    cores = frozenset(os.sched_getaffinity(0))
    found = {workers: await _measure(place, workers, cores, seconds, rounds) for workers in numbers}
    # Of the first number alone, which the model then extends: nothing of the others is fed into it.
    first, alone, _ = found[numbers[0]]
    costs = Costs(first.service, first.database, alone.p50_milliseconds / 1000)
    # The load takes its share of the cores, and the database the rest.
    service_cores = len(cores) * first.service / (first.service + first.database + first.load)
    say("| Workers | answers/s | predicted | service µs | database µs | load µs | p99 ms |")
    say("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    measured: dict[int, tuple[float, float]] = {}
    for workers, (cost, _, typical) in found.items():
        here = Deployment(workers, service_cores, len(cores), workers * _CONNECTIONS_OF_EACH)
        predicted, _ = capacity(costs, here)
        measured[workers] = (typical.per_second, predicted)
        say(
            f"| {workers} | {typical.per_second:,.0f} | {predicted:,.0f} | {cost.service * 1e6:.0f} | "
            f"{cost.database * 1e6:.0f} | {cost.load * 1e6:.0f} | {typical.p99_milliseconds:.0f} |"
        )
    _predict(costs)
    if chart:
        _draw(measured, costs, chart)


async def _measure(
    place: Place, workers: int, cores: frozenset[int], seconds: int, rounds: int
) -> tuple[_Cost, Sample, Sample]:
    """Return what a request costs, and medians: of one client alone, and of the full load."""
    variant = Variant(f"{workers} workers", environment={"WORKERS": str(workers)})
    script = write_script(place.folder, "growth", "mixed", place.outside.tokens("HS256"))
    async with run_server(variant, place.folder, place.environment(variant), cores) as server:
        alone = await measure(server, script, seconds=seconds, connections=1)
        # Connections to the database are opened meanwhile.
        await measure(server, script, seconds=seconds, connections=_CLIENTS, may_refuse=True)
        before = _Cost.now(place, server)
        samples = [
            await measure(server, script, seconds=seconds, connections=_CLIENTS) for _ in range(rounds)
        ]
        answers = sum(sample.per_second * seconds for sample in samples)
        return _Cost.now(place, server).since(before, answers), alone, middle(samples)


def _predict(costs: Costs) -> None:
    say("\n| Pods of 2 workers, 2 cores | database cores | connections | answers/s | limited by |")
    say("| ---: | ---: | ---: | ---: | --- |")
    for pods in _PODS:
        for database_cores in (2, 16):
            workers = 2 * pods
            connections = workers * _CONNECTIONS_OF_EACH
            rate, part = capacity(costs, Deployment(workers, workers, database_cores, connections))
            say(f"| {pods} | {database_cores} | {connections} | {rate:,.0f} | {part} |")


def _draw(measured: dict[int, tuple[float, float]], costs: Costs, path: Path) -> None:
    figure = Figure(figsize=(10, 4))
    here, beyond = figure.subplots(1, 2)
    here.plot(
        list(measured), [each[0] for each in measured.values()], "o-", label="measured", color="#2166ac"
    )
    here.plot(list(measured), [each[1] for each in measured.values()], "--", label="model", color="#b8b8b8")
    here.set_title(f"one machine of {len(os.sched_getaffinity(0))} cores, all on it", fontsize=10)
    here.set_xlabel("workers")
    here.set_xticks(list(measured))
    pods = range(1, 101)
    for database_cores, colour in ((2, "#d6604d"), (4, "#f4a582"), (16, "#2166ac")):
        rates = [
            capacity(costs, Deployment(2 * each, 2 * each, database_cores, 20 * each))[0] for each in pods
        ]
        beyond.plot(pods, rates, label=f"{database_cores} cores for PostgreSQL", color=colour)
    beyond.set_title("model: pods of 2 workers on 2 cores", fontsize=10)
    beyond.set_xlabel("pods")
    beyond.set_xscale("log")
    for axes in (here, beyond):
        axes.set_ylabel("answers per second")
        axes.set_ylim(bottom=0)
    save_chart(figure, path)
