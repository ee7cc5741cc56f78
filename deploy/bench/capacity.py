"""The capacity model: a deployment's throughput is the minimum of its components' limits. And a plan that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from math import ceil, inf

__all__ = [
    "MEASURED",
    "Assumptions",
    "Costs",
    "Deployment",
    "Plan",
    "capacity",
    "limits",
    "option_name",
    "plan",
    "report",
]


@dataclass(frozen=True)
class Costs:
    """The cost of a request in seconds, as measured by `python -m deploy.bench growth` and `shards`.

    Attributes:
        worker: CPU time of a worker.
        database: CPU time of PostgreSQL.
        connection: Time that the request uses a database connection, including network round trips.
        router: CPU time of the router in front of the shards.
    """

    worker: float
    database: float
    connection: float
    router: float = 0


@dataclass(frozen=True)
class Deployment:
    """The resources of a deployment.

    Attributes:
        workers: Number of workers of all pods.
        service_cores: CPU cores of all pods together.
        database_cores: CPU cores of PostgreSQL, of the primaries of all shards together.
        connections: Maximum connections to PostgreSQL of all workers, or of all routers, together.
        router_cores: CPU cores of all routers together.
    """

    workers: int
    service_cores: float
    database_cores: float
    connections: float
    router_cores: float = 0


def limits(costs: Costs, deployment: Deployment) -> dict[str, float]:
    """Return the maximum throughput in requests per second that each component allows.

    A worker is a process with one busy thread, so it uses at most one core.
    """
    return {
        "workers": deployment.workers / costs.worker,
        "service cores": deployment.service_cores / costs.worker,
        "database cores": deployment.database_cores / costs.database,
        "connections": deployment.connections / costs.connection,
        "router cores": deployment.router_cores / costs.router if costs.router else inf,
    }


def capacity(costs: Costs, deployment: Deployment) -> tuple[float, str]:
    """Return the maximum throughput in requests per second, and the component that limits it."""
    found = limits(costs, deployment)
    bottleneck = min(found, key=found.__getitem__)
    return found[bottleneck], bottleneck


MEASURED = Costs(worker=362e-6, database=125e-6, connection=0.71e-3)
"""One worker, 4 lists to 4 reads, 1 creation and 1 completion, by `growth` (docs/performance.md, section Scaling)."""

_SERVICE_BY_ROUTER, _DATABASE_BY_ROUTER, _ROUTER_BY_DATABASE = 1.09, 1.18, 1.08
"""Four shards, by `shards`: service and PostgreSQL relative to direct, and the router relative to PostgreSQL direct."""

_RESPONSE_BYTES, _WAL_BYTES = 6_231, 427
"""Per request of that mix, in the same row."""

_TASK_BYTES, _KEY_BYTES, _KEY_PURGE_SECONDS = 456, 391, 78e-6
"""A task in table and indexes after a million completions, and an idempotency key (docs/operations.md)."""

_CREATED = 0.1
"""Part of the requests of that mix that create a task, with an idempotency key."""

_WORKERS_PER_POD, _POOL = 2, 10
_CORES_PER_ROUTER = 4
_DATABASE_CORES = (2, 4, 8, 16)
_STEPS = (10_000, 1_000_000, 100_000_000)
_DAY, _DAYS_PER_MONTH, _GIGABYTE = 86_400, 30, 1e9


def _assumed(value: float, meaning: str) -> float:
    """Return a field with a default and its meaning, for the help of the command and for the report."""
    assumed: float = field(default=value, metadata={"meaning": meaning})
    return assumed


@dataclass(frozen=True)
class Assumptions:
    """What the plan assumes: none of it is measured. The metadata of each field have its meaning and unit."""

    requests: float = _assumed(40, "requests per daily user and day")
    peak: float = _assumed(5, "requests per second at the peak, as a multiple of the day's mean")
    registered: float = _assumed(5, "registered users per daily user")
    tasks: float = _assumed(200, "stored tasks per registered user")
    utilization: float = _assumed(
        0.5, "busy part of each core at the peak; the rest is for failures, and workers that share a core"
    )
    shard_gigabytes: float = _assumed(1_000, "maximum GB of a PostgreSQL, which limits the time of a restore")
    server_connections: float = _assumed(500, "maximum connections of a PostgreSQL")
    router_connections: float = _assumed(5, "connections of a router to each shard (its `connection_limit`)")
    nodes: float = _assumed(3, "servers per PostgreSQL: the primary and its standbys")
    copies: float = _assumed(4, "stored copies: one per server, and a backup")
    vcpu_hour: float = _assumed(0.04, "USD for a vCPU for an hour")
    gigabyte_month: float = _assumed(0.1, "USD for a stored GB for a month")
    gigabyte_sent: float = _assumed(0.05, "USD for a GB sent to clients")


@dataclass(frozen=True)
class Plan:
    """A deployment for a number of daily users.

    Attributes:
        users: Daily users.
        peak_rate: Requests per second at the peak.
        gigabytes: Stored tasks and idempotency keys, one copy.
        pods: Pods of two workers and two cores.
        shards: PostgreSQL primaries.
        shard_cores: CPU cores of each.
        routers: Routers of four cores; none in front of a single PostgreSQL.
        costs: The cost of a request in this deployment.
        assumptions: What the plan assumes.
    """

    users: int
    peak_rate: float
    gigabytes: float
    pods: int
    shards: int
    shard_cores: int
    routers: int
    costs: Costs
    assumptions: Assumptions

    @property
    def client_connections(self) -> int:
        """The maximum connections of the pods, by the chart's formula (docs/operations.md, section Sizing)."""
        return _WORKERS_PER_POD * _POOL * (self.pods + _surge(self.pods)) + 1

    @property
    def connections_per_database(self) -> float:
        """The maximum connections of a PostgreSQL: from all pods, or from all routers."""
        return self.routers * self.assumptions.router_connections or self.client_connections

    @property
    def vcpus(self) -> float:
        """The CPU cores of all pods, routers and PostgreSQL nodes."""
        return (
            self.pods * _WORKERS_PER_POD
            + self.routers * _CORES_PER_ROUTER
            + self.shards * self.shard_cores * self.assumptions.nodes
        )

    def carried_users(self) -> dict[str, float]:
        """Return the daily users that each component of this deployment can carry. The smallest number is the limit."""
        given = self.assumptions
        workers = self.pods * _WORKERS_PER_POD
        deployment = Deployment(
            workers,
            workers,
            self.shards * self.shard_cores,
            self.shards * self.connections_per_database,
            self.routers * _CORES_PER_ROUTER,
        )
        per_second = self.peak_rate / self.users
        carried = {
            name: rate * given.utilization / per_second
            for name, rate in limits(self.costs, deployment).items()
            if name != "service cores"  # as many as workers
        }
        carried["storage"] = self.users * self.shards * given.shard_gigabytes / self.gigabytes
        # With more pods, or more routers, each PostgreSQL has more connections.
        if self.routers:
            most = (
                given.server_connections // given.router_connections * _CORES_PER_ROUTER / self.costs.router
            )
        else:
            pods = (given.server_connections - 1) // (_WORKERS_PER_POD * _POOL)
            pods -= _surge(pods)
            most = pods * _WORKERS_PER_POD / self.costs.worker
        carried["max_connections"] = most * given.utilization / per_second
        keys = given.requests * _CREATED
        carried["purge of keys"] = self.shards * _DAY / _KEY_PURGE_SECONDS / keys
        return carried

    def cost_of_a_million_requests(self) -> tuple[float, float, float]:
        """Return the vCPU-hours, the stored gigabyte-months and the sent gigabytes."""
        millions = self.users * self.assumptions.requests / 1e6
        return (
            self.vcpus * 24 / millions,
            self.gigabytes * self.assumptions.copies / _DAYS_PER_MONTH / millions,
            _RESPONSE_BYTES * 1e6 / _GIGABYTE,
        )


def plan(users: int, given: Assumptions) -> Plan:
    """Return the smallest deployment for a number of daily users."""
    rate = users * given.requests * given.peak / _DAY
    tasks = users * given.registered * given.tasks * _TASK_BYTES
    keys = users * given.requests * _CREATED * 2 * _KEY_BYTES  # a key is up to two days old when it is purged
    gigabytes = (tasks + keys) / _GIGABYTE
    costs = MEASURED
    shards = max(
        ceil(gigabytes / given.shard_gigabytes), _machines(rate, costs.database, given, _DATABASE_CORES[-1])
    )
    if shards > 1:
        costs = Costs(
            MEASURED.worker * _SERVICE_BY_ROUTER,
            MEASURED.database * _DATABASE_BY_ROUTER,
            MEASURED.connection,
            MEASURED.database * _ROUTER_BY_DATABASE,
        )
        shards = max(shards, _machines(rate, costs.database, given, _DATABASE_CORES[-1]))
    needed = rate / shards * costs.database / given.utilization
    return Plan(
        users,
        rate,
        gigabytes,
        pods=max(2, _machines(rate, costs.worker, given, _WORKERS_PER_POD)),
        shards=shards,
        shard_cores=next(each for each in _DATABASE_CORES if each >= needed),
        routers=max(2, _machines(rate, costs.router, given, _CORES_PER_ROUTER)) if shards > 1 else 0,
        costs=costs,
        assumptions=given,
    )


def _surge(pods: float) -> int:
    """Return the additional pods of a rollout (`maxSurge`)."""
    return max(1, int(pods // 20))


def _machines(rate: float, seconds: float, given: Assumptions, size: int) -> int:
    """Return the number of machines of `size` cores."""
    return ceil(rate * seconds / given.utilization / size)


_EXPERIMENT = "experiment that would show it"
_EXPERIMENTS = {
    "workers": "`python -m deploy.bench growth` with more pods than one node has cores",
    "database cores": "the load of `growth` with PostgreSQL on 2, 4 and 16 cores of another machine",
    "connections": "the same with the database at a distance of 20 ms (`tc qdisc add dev eth0 root netem delay 20ms`)",
    "router cores": "`python -m deploy.bench shards` with one router in a cgroup of one core, until its CPU is at 100 %",
    "storage": "`python -m deploy.bench size --rows 1000000000`, then a timed restore of its backup",
    "max_connections": "pgbench with that many connections beside the load of `growth`; then PgBouncer, or more routers",
    "purge of keys": "`task-service purge-idempotency-keys` with a billion expired keys beside the load of a day",
}
"""For each component the experiment that would show its limit."""


def report(given: Assumptions) -> str:
    """Return the plan for each step as Markdown tables: assumptions, what is needed, and how many users that carries."""
    plans = [plan(users, given) for users in _STEPS]
    costs = [each.cost_of_a_million_requests() for each in plans]
    prices = (given.vcpu_hour, given.gigabyte_month, given.gigabyte_sent)
    rows = {
        "requests/s at the peak": [f"{each.peak_rate:,.0f}" for each in plans],
        "pods of 2 workers, 2 cores": [f"{each.pods:,}" for each in plans],
        "PostgreSQL primaries (shards)": [f"{each.shards:,}" for each in plans],
        "cores of each, busy at the peak": [
            f"{each.shard_cores} ({each.peak_rate * each.costs.database / each.shards / each.shard_cores:.0%})"
            for each in plans
        ],
        "routers of 4 cores": [f"{each.routers or '–'}" for each in plans],
        "connections of the pods": [f"{each.client_connections:,}" for each in plans],
        "connections of each PostgreSQL": [f"{each.connections_per_database:,}" for each in plans],
        "data, one copy": [f"{each.gigabytes:,.0f} GB" for each in plans],
        "WAL of a day": [f"{each.users * given.requests * _WAL_BYTES / _GIGABYTE:,.1f} GB" for each in plans],
        "responses at the peak": [
            f"{each.peak_rate * _RESPONSE_BYTES * 8 / 1e6:,.0f} Mbit/s" for each in plans
        ],
        "vCPUs with all standbys": [f"{each.vcpus:,.0f}" for each in plans],
        "**a million requests**: vCPU-hours": [f"{each[0]:,.2f}" for each in costs],
        "GB-months stored": [f"{each[1]:,.2f}" for each in costs],
        "GB sent": [f"{each[2]:,.1f}" for each in costs],
        "cost": [f"{sum(map(float.__mul__, each, prices)):,.2f} USD" for each in costs],
    }
    head = ["Daily users", *(f"{each:,}" for each in _STEPS)]
    carried = [each.carried_users() for each in plans]
    carried_rows = {
        name: [
            *(_users(each[name], is_first=each[name] == min(each.values())) for each in carried),
            experiment,
        ]
        for name, experiment in _EXPERIMENTS.items()
    }
    assumed = {
        each.metadata["meaning"]: [f"`--{option_name(each)}`", f"{getattr(given, each.name):,g}"]
        for each in fields(given)
    }
    return "\n\n".join(
        (
            _markdown(["Assumption", "option", "value"], assumed),
            _markdown(head, rows),
            _markdown(["Carries at most", *head[1:], _EXPERIMENT], carried_rows),
        )
    )


def option_name(assumption: Field[float]) -> str:
    """Return the name of the option that changes an assumption."""
    return assumption.name.replace("_", "-")


def _users(number: float, *, is_first: bool) -> str:
    """Return a number of users in millions; in bold for the component that limits the deployment."""
    text = "–" if number == inf else f"{number / 1e6:,.1f} M"
    return f"**{text}**" if is_first else text


def _markdown(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [
        head,
        ["---", *("---" if name == _EXPERIMENT else "---:" for name in head[1:])],
        *([name, *cells] for name, cells in rows.items()),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
