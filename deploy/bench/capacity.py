"""How many requests a second a deployment answers: the least of what its parts allow."""

from dataclasses import dataclass

__all__ = ["Costs", "Deployment", "capacity"]


@dataclass(frozen=True)
class Costs:
    """What a request costs, in seconds, as `python -m deploy.bench growth` measures it.

    Attributes:
        worker: CPU of a worker.
        database: CPU of PostgreSQL.
        connection: How long it holds a database connection, from afar the round trips included.
    """

    worker: float
    database: float
    connection: float


@dataclass(frozen=True)
class Deployment:
    """What there is.

    Attributes:
        workers: Of all pods.
        service_cores: That the pods may use together.
        database_cores: That PostgreSQL has.
        connections: That the workers may open together.
    """

    workers: int
    service_cores: float
    database_cores: float
    connections: int


def capacity(costs: Costs, deployment: Deployment) -> tuple[float, str]:
    """Return the requests per second that it can answer, and the part that allows no more.

    A worker is one process with one thread that counts, so it uses one core at most.
    """
    bounds = {
        "workers": deployment.workers / costs.worker,
        "service cores": deployment.service_cores / costs.worker,
        "database cores": deployment.database_cores / costs.database,
        "connections": deployment.connections / costs.connection,
    }
    part = min(bounds, key=bounds.__getitem__)
    return bounds[part], part
