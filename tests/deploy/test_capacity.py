"""The model of how many requests a second a deployment answers, fed with constants that were measured."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.bench.capacity import Costs, Deployment, capacity

# Medians of `python -m deploy.bench growth` on two cores, mixed requests, one worker.
MEASURED = Costs(worker=500e-6, database=130e-6, connection=1e-3)
SMALL = Deployment(workers=1, service_cores=2, database_cores=2, connections=10)


def test_one_worker_is_bound_by_the_core_that_it_uses() -> None:
    rate, part = capacity(MEASURED, SMALL)
    assert (round(rate), part) == (2000, "workers")


@pytest.mark.parametrize(
    ("changes", "rate", "part"),
    [
        ({"workers": 2}, 4000, "workers"),
        ({"workers": 4}, 4000, "service cores"),
        ({"workers": 16, "service_cores": 16, "connections": 160}, 15385, "database cores"),
        ({"workers": 16, "service_cores": 16, "database_cores": 8}, 10000, "connections"),
    ],
)
def test_what_is_added_helps_until_another_part_is_the_least(
    changes: dict[str, Any], rate: float, part: str
) -> None:
    found = capacity(MEASURED, replace(SMALL, **changes))
    assert (round(found[0]), found[1]) == (rate, part)


def test_a_database_far_away_is_bound_by_its_connections() -> None:
    far = replace(MEASURED, connection=20e-3)
    rate, part = capacity(far, replace(SMALL, workers=2, connections=20))
    assert (round(rate), part) == (1000, "connections")
