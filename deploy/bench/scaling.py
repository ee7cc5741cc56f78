"""How cost grows from one worker to eight and from one pod to six, against what the model of `capacity` says."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from deploy.bench.capacity import Costs, Deployment, capacity
from deploy.bench.cpu_quota import small_cores
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.report import save_chart, say
from deploy.bench.runner import Place
from deploy.bench.variants import Server, Variant, child_pids, cpu_seconds, run_server

__all__ = ["growth"]

_CONNECTIONS_OF_EACH = 10
_CLIENTS = 64
_OF_A_POD = 2
_CORES_OF_A_POD = 2
_CORE, _CORE_OF_SEVERAL = 0.35, 0.08
"""How much of a real core one of the service's is, of a pod alone and of several: half of two real ones is left."""

_PODS = (1, 2, 6, 20, 100)


@dataclass(frozen=True)
class _Cost:
    """CPU seconds so far of the service, the database and the load."""

    service: float
    database: float
    load: float

    @classmethod
    def now(cls, place: Place, servers: list[Server]) -> "_Cost":
        postmaster = int(next(place.folder.rglob("postmaster.pid")).read_text().split()[0])
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of wrk, which has ended; the others go on
        return cls(
            sum(server.cpu_seconds() for server in servers),
            cpu_seconds(postmaster, with_ended=True) + sum(map(cpu_seconds, child_pids(postmaster))),
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
    workers: Sequence[int] = (1, 2, 4, 8),
    pods: Sequence[int] = (1, 2, 4, 6),
    chart: Path | None = None,
) -> None:
    """Print what more workers and more pods answer, beside what the model says, and draw it.

    Args:
        place: Where to measure.
        seconds: Length of a sample.
        rounds: Samples of each; medians are shown.
        workers: Of one pod with two cores; the first is what the model is made from.
        pods: Of two workers and two cores each.
        chart: PNG to write.
    """
    found = {
        number: await _measure(place, 1, number, _CORE, seconds=seconds, rounds=rounds) for number in workers
    }
    # Of the first alone, which the model then extends: nothing of the others is fed into it.
    first = found[workers[0]]
    connection = (await _alone(place, seconds)).p50_milliseconds / 1000
    costs = Costs(first.cost.service, first.cost.database, connection)
    say(
        f"A core of the service answers {1 / costs.worker:,.0f} requests a second, one of the database "
        f"{1 / costs.database:,.0f}, a connection {1 / costs.connection:,.0f}.\n"
    )
    expected = {number: _small(costs, 1, number, _CORE) for number in workers}
    _report(f"Workers of a pod, cores of {_CORE:.0%}", found, expected)
    several = {
        number: await _measure(place, number, _OF_A_POD, _CORE_OF_SEVERAL, seconds=seconds, rounds=rounds)
        for number in pods
    }
    expected_of_several = {number: _small(costs, number, _OF_A_POD, _CORE_OF_SEVERAL) for number in pods}
    _report(f"Pods of {_OF_A_POD} workers, cores of {_CORE_OF_SEVERAL:.0%}", several, expected_of_several)
    _predict(costs)
    if chart:
        _draw(((found, expected), (several, expected_of_several)), costs, chart)


@dataclass(frozen=True)
class _Growth:
    """What a number of workers or pods answered, and what a request of theirs cost."""

    per_second: float
    p99_milliseconds: float
    cost: _Cost


def _small(costs: Costs, pods: int, workers: int, core: float) -> float:
    """Return what the model says of pods with small cores, on a database that has what they leave of real ones."""
    cores = pods * min(workers, _CORES_OF_A_POD) * core
    left = len(os.sched_getaffinity(0)) - cores
    here = Deployment(pods * workers, cores, left, pods * workers * _CONNECTIONS_OF_EACH)
    return capacity(costs, here)[0]


async def _measure(
    place: Place, pods: int, workers: int, core: float, *, seconds: int, rounds: int
) -> _Growth:
    """Load each pod with a client of its own, all at once."""
    script = write_script(place.folder, "growth", "mixed", place.outside.tokens("HS256"))
    async with contextlib.AsyncExitStack() as stack:
        servers, groups = [], []
        for number in range(pods):
            variant = Variant(f"pod {number}", environment={"WORKERS": str(workers)})
            groups.append(stack.enter_context(small_cores(str(number))))
            servers.append(
                await stack.enter_async_context(
                    run_server(variant, place.folder, place.environment(variant), groups[-1].enter)
                )
            )
        for group in groups:  # their start and their end are not measured
            group.limit(min(workers, _CORES_OF_A_POD) * core)
            stack.callback(group.limit, len(os.sched_getaffinity(0)))

        async def load() -> list[Sample]:
            return await asyncio.gather(
                *(
                    measure(each, script, seconds=seconds, connections=_CLIENTS, may_refuse=True)
                    for each in servers
                )
            )

        await load()  # connections to the database are opened meanwhile
        before = _Cost.now(place, servers)
        samples = [await load() for _ in range(rounds)]
        answers = sum(sample.per_second * seconds for each in samples for sample in each)
        return _Growth(
            median(sum(sample.per_second for sample in each) for each in samples),
            median(max(sample.p99_milliseconds for sample in each) for each in samples),
            _Cost.now(place, servers).since(before, answers),
        )


async def _alone(place: Place, seconds: int) -> Sample:
    """Return what a single client sees of a worker with a whole core."""
    variant = Variant("alone")
    script = write_script(place.folder, "alone", "mixed", place.outside.tokens("HS256"))
    async with run_server(variant, place.folder, place.environment(variant)) as server:
        return await measure(server, script, seconds=seconds, connections=1)


def _report(title: str, found: Mapping[int, _Growth], predicted: Mapping[int, float]) -> None:
    say(f"| {title} | answers/s | of the first | model | service µs | database µs | load µs | p99 ms |")
    say("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    first = next(iter(found.values()))
    for number, each in found.items():
        say(
            f"| {number} | {each.per_second:,.0f} | {each.per_second / first.per_second:.2f} "
            f"| {predicted[number]:,.0f} | {each.cost.service * 1e6:.0f} | {each.cost.database * 1e6:.0f} "
            f"| {each.cost.load * 1e6:.0f} | {each.p99_milliseconds:.0f} |"
        )
    say("")


def _predict(costs: Costs) -> None:
    say("| Pods of 2 workers, 2 whole cores | database cores | connections | answers/s | limited by |")
    say("| ---: | ---: | ---: | ---: | --- |")
    for pods in _PODS:
        for database_cores in (2, 16):
            number = _OF_A_POD * pods
            connections = number * _CONNECTIONS_OF_EACH
            rate, part = capacity(costs, Deployment(number, number, database_cores, connections))
            say(f"| {pods} | {database_cores} | {connections} | {rate:,.0f} | {part} |")


def _draw(
    measured: Sequence[tuple[Mapping[int, _Growth], Mapping[int, float]]], costs: Costs, path: Path
) -> None:
    figure = Figure(figsize=(12, 4))
    *small, beyond = figure.subplots(1, 3)
    units = ("workers of a pod", "pods of 2 workers")
    for axes, (found, expected), unit, core in zip(
        small, measured, units, (_CORE, _CORE_OF_SEVERAL), strict=True
    ):
        rates = [each.per_second for each in found.values()]
        axes.plot(list(found), rates, "o-", label="measured", color="#2166ac")
        axes.plot(list(expected), list(expected.values()), "--", label="model", color="#b8b8b8")
        axes.set_title(f"pods with two cores of {core:.0%} of a real one", fontsize=9)
        axes.set_xlabel(unit)
        axes.set_xticks(list(found))
    pods = range(1, 101)
    for database_cores, colour in ((2, "#d6604d"), (4, "#f4a582"), (16, "#2166ac")):
        rates = [
            capacity(costs, Deployment(2 * each, 2 * each, database_cores, 20 * each))[0] for each in pods
        ]
        beyond.plot(pods, rates, label=f"{database_cores} cores for PostgreSQL", color=colour)
    beyond.set_title("model: pods of 2 workers on 2 whole cores", fontsize=9)
    beyond.set_xlabel("pods")
    beyond.set_xscale("log")
    for axes in (*small, beyond):
        axes.set_ylabel("answers per second")
        axes.set_ylim(bottom=0)
    save_chart(figure, path)
