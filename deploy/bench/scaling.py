"""Measures throughput and cost of 1 to 8 workers and 1 to 6 pods, and compares them with the model of `capacity`."""

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
from deploy.bench.cpu_quota import create_cpu_quota
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.report import echo, save_chart
from deploy.bench.runner import Environment
from deploy.bench.variants import Server, Variant, postgres_cpu_seconds, run_server

__all__ = ["growth"]

_CONNECTIONS_PER_WORKER = 10
_CLIENTS = 64
_WORKERS_PER_POD = 2
_CORES_PER_POD = 2
_CORE, _CORE_OF_SEVERAL_PODS = 0.35, 0.08
"""Size of a core of the service as part of a real core, for one pod and for several, so that the database has cores."""

_PODS = (1, 2, 6, 20, 100)


@dataclass(frozen=True)
class _Cost:
    """CPU time of service, database and load generator, in seconds."""

    service: float
    database: float
    load: float

    @classmethod
    def now(cls, environment: Environment, servers: list[Server]) -> "_Cost":
        postmaster = int(next(environment.folder.rglob("postmaster.pid")).read_text().split()[0])
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # only wrk: the other children have not ended
        return cls(
            sum(server.cpu_seconds() for server in servers),
            postgres_cpu_seconds(postmaster),
            used.ru_utime + used.ru_stime,
        )

    def since(self, earlier: "_Cost", requests: float) -> "_Cost":
        """Return the cost per request since an earlier measurement."""
        return _Cost(
            (self.service - earlier.service) / requests,
            (self.database - earlier.database) / requests,
            (self.load - earlier.load) / requests,
        )


async def growth(
    environment: Environment,
    *,
    seconds: int,
    rounds: int,
    workers: Sequence[int] = (1, 2, 4, 8),
    pods: Sequence[int] = (1, 2, 4, 6),
    chart: Path | None = None,
) -> None:
    """Print and draw the throughput of workers and pods, measured and predicted.

    Args:
        environment: The benchmark environment.
        seconds: Duration of a sample.
        rounds: Number of samples of each. The medians are shown.
        workers: Numbers of workers of a pod with two cores. The model uses only the first one.
        pods: Numbers of pods with two workers and two cores each.
        chart: Path of a PNG file.
    """
    found = {
        number: await _measure(environment, 1, number, _CORE, seconds=seconds, rounds=rounds)
        for number in workers
    }
    # The model uses only the costs of the first measurement.
    first = found[workers[0]]
    connection = (await _measure_single_client(environment, seconds)).p50_milliseconds / 1000
    costs = Costs(first.cost.service, first.cost.database, connection)
    echo(
        f"Requests per second: {1 / costs.worker:,.0f} per core of the service, "
        f"{1 / costs.database:,.0f} per core of the database, {1 / costs.connection:,.0f} per connection.\n"
    )
    expected = {number: _predicted_throughput(costs, 1, number, _CORE) for number in workers}
    _report(f"Workers of a pod, cores of {_CORE:.0%}", found, expected)
    several = {
        number: await _measure(
            environment, number, _WORKERS_PER_POD, _CORE_OF_SEVERAL_PODS, seconds=seconds, rounds=rounds
        )
        for number in pods
    }
    expected_of_several = {
        number: _predicted_throughput(costs, number, _WORKERS_PER_POD, _CORE_OF_SEVERAL_PODS)
        for number in pods
    }
    _report(
        f"Pods of {_WORKERS_PER_POD} workers, cores of {_CORE_OF_SEVERAL_PODS:.0%}",
        several,
        expected_of_several,
    )
    _print_predictions(costs)
    if chart:
        _draw(((found, expected), (several, expected_of_several)), costs, chart)


@dataclass(frozen=True)
class _Result:
    """The throughput of a number of workers or pods, and the cost per request."""

    per_second: float
    p99_milliseconds: float
    cost: _Cost


def _predicted_throughput(costs: Costs, pods: int, workers: int, core: float) -> float:
    """Return the predicted throughput of pods with small cores. The database has the rest of the real cores."""
    cores = pods * min(workers, _CORES_PER_POD) * core
    database_cores = len(os.sched_getaffinity(0)) - cores
    deployment = Deployment(pods * workers, cores, database_cores, pods * workers * _CONNECTIONS_PER_WORKER)
    return capacity(costs, deployment)[0]


async def _measure(
    environment: Environment, pods: int, workers: int, core: float, *, seconds: int, rounds: int
) -> _Result:
    """Measure pods under concurrent load, with one load generator per pod."""
    script = write_script(environment.folder, "growth", "mixed", environment.stubs.tokens("HS256"))
    async with contextlib.AsyncExitStack() as stack:
        servers, groups = [], []
        for number in range(pods):
            variant = Variant(f"pod {number}", environment={"WORKERS": str(workers)})
            groups.append(stack.enter_context(create_cpu_quota(str(number))))
            servers.append(
                await stack.enter_async_context(
                    run_server(variant, environment.folder, environment.variables(variant), groups[-1].enter)
                )
            )
        for group in groups:  # start and stop run without a limit
            group.limit(min(workers, _CORES_PER_POD) * core)
            stack.callback(group.limit, len(os.sched_getaffinity(0)))

        async def load() -> list[Sample]:
            return await asyncio.gather(
                *(
                    measure(each, script, seconds=seconds, connections=_CLIENTS, may_reject=True)
                    for each in servers
                )
            )

        await load()  # the warm-up, which opens the database connections
        before = _Cost.now(environment, servers)
        samples = [await load() for _ in range(rounds)]
        responses = sum(sample.per_second * seconds for each in samples for sample in each)
        return _Result(
            median(sum(sample.per_second for sample in each) for each in samples),
            median(max(sample.p99_milliseconds for sample in each) for each in samples),
            _Cost.now(environment, servers).since(before, responses),
        )


async def _measure_single_client(environment: Environment, seconds: int) -> Sample:
    """Measure a worker on a whole core with a single client."""
    variant = Variant("alone")
    script = write_script(environment.folder, "alone", "mixed", environment.stubs.tokens("HS256"))
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        return await measure(server, script, seconds=seconds, connections=1)


def _report(title: str, found: Mapping[int, _Result], predicted: Mapping[int, float]) -> None:
    echo(f"| {title} | responses/s | vs first | model | service µs | database µs | load µs | p99 ms |")
    echo("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    first = next(iter(found.values()))
    for number, each in found.items():
        echo(
            f"| {number} | {each.per_second:,.0f} | {each.per_second / first.per_second:.2f} "
            f"| {predicted[number]:,.0f} | {each.cost.service * 1e6:.0f} | {each.cost.database * 1e6:.0f} "
            f"| {each.cost.load * 1e6:.0f} | {each.p99_milliseconds:.0f} |"
        )
    echo("")


def _print_predictions(costs: Costs) -> None:
    echo("| Pods of 2 workers, 2 whole cores | database cores | connections | responses/s | limited by |")
    echo("| ---: | ---: | ---: | ---: | --- |")
    for pods in _PODS:
        for database_cores in (2, 16):
            number = _WORKERS_PER_POD * pods
            connections = number * _CONNECTIONS_PER_WORKER
            rate, bottleneck = capacity(costs, Deployment(number, number, database_cores, connections))
            echo(f"| {pods} | {database_cores} | {connections} | {rate:,.0f} | {bottleneck} |")


def _draw(
    measured: Sequence[tuple[Mapping[int, _Result], Mapping[int, float]]], costs: Costs, path: Path
) -> None:
    figure = Figure(figsize=(12, 4))
    *measured_axes, model_axes = figure.subplots(1, 3)
    units = ("workers of a pod", "pods of 2 workers")
    for axes, (found, expected), unit, core in zip(
        measured_axes, measured, units, (_CORE, _CORE_OF_SEVERAL_PODS), strict=True
    ):
        rates = [each.per_second for each in found.values()]
        axes.plot(list(found), rates, "o-", label="measured", color="#2166ac")
        axes.plot(list(expected), list(expected.values()), "--", label="model", color="#b8b8b8")
        axes.set_title(f"pods with two cores of {core:.0%} of a real core", fontsize=9)
        axes.set_xlabel(unit)
        axes.set_xticks(list(found))
    pods = range(1, 101)
    for database_cores, colour in ((2, "#d6604d"), (4, "#f4a582"), (16, "#2166ac")):
        rates = [
            capacity(costs, Deployment(2 * each, 2 * each, database_cores, 20 * each))[0] for each in pods
        ]
        model_axes.plot(pods, rates, label=f"{database_cores} cores for PostgreSQL", color=colour)
    model_axes.set_title("model: pods of 2 workers on 2 whole cores", fontsize=9)
    model_axes.set_xlabel("pods")
    model_axes.set_xscale("log")
    for axes in (*measured_axes, model_axes):
        axes.set_ylabel("responses per second")
        axes.set_ylim(bottom=0)
    save_chart(figure, path)
