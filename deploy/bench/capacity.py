"""The capacity model: the throughput of a deployment is the minimum of the limits of its components."""

from dataclasses import dataclass

__all__ = ["Costs", "Deployment", "capacity"]


@dataclass(frozen=True)
class Costs:
    """The cost of a request in seconds, as measured by `python -m deploy.bench growth`.

    Attributes:
        worker: CPU time of a worker.
        database: CPU time of PostgreSQL.
        connection: Time that the request uses a database connection, including network round trips.
    """

    worker: float
    database: float
    connection: float


@dataclass(frozen=True)
class Deployment:
    """The resources of a deployment.

    Attributes:
        workers: Number of workers of all pods.
        service_cores: CPU cores of all pods together.
        database_cores: CPU cores of PostgreSQL.
        connections: Maximum database connections of all workers together.
    """

    workers: int
    service_cores: float
    database_cores: float
    connections: int


def capacity(costs: Costs, deployment: Deployment) -> tuple[float, str]:
    """Return the maximum throughput in requests per second, and the component that limits it.

    A worker is a process with one busy thread, so it uses at most one core.
    """
    limits = {
        "workers": deployment.workers / costs.worker,
        "service cores": deployment.service_cores / costs.worker,
        "database cores": deployment.database_cores / costs.database,
        "connections": deployment.connections / costs.connection,
    }
    bottleneck = min(limits, key=limits.__getitem__)
    return limits[bottleneck], bottleneck
