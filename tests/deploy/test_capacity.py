"""The model of how many requests a second a deployment answers, fed with constants that were measured."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.bench.capacity import Costs, Deployment, capacity

# Measured by `python -m deploy.bench growth` with one worker and mixed requests (docs/performance.md).
MEASURED = Costs(worker=362e-6, database=125e-6, connection=0.71e-3)
SMALL = Deployment(workers=1, service_cores=2, database_cores=2, connections=10)


def test_one_worker_is_bound_by_the_core_that_it_uses() -> None:
    rate, part = capacity(MEASURED, SMALL)
    assert (round(rate), part) == (2762, "workers")


@pytest.mark.parametrize(
    ("changes", "rate", "part"),
    [
        ({"workers": 2}, 5525, "workers"),
        ({"workers": 4}, 5525, "service cores"),
        ({"workers": 16, "service_cores": 16, "connections": 160}, 16000, "database cores"),
        ({"workers": 16, "service_cores": 16, "database_cores": 8}, 14085, "connections"),
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
