"""The capacity model, with measured costs."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.bench.capacity import Costs, Deployment, capacity

# Measured by `python -m deploy.bench growth` with one worker and mixed requests (docs/performance.md).
MEASURED = Costs(worker=362e-6, database=125e-6, connection=0.71e-3)
SMALL = Deployment(workers=1, service_cores=2, database_cores=2, connections=10)


def test_one_worker_is_limited_by_its_core() -> None:
    rate, bottleneck = capacity(MEASURED, SMALL)
    assert (round(rate), bottleneck) == (2762, "workers")


@pytest.mark.parametrize(
    ("changes", "rate", "bottleneck"),
    [
        ({"workers": 2}, 5525, "workers"),
        ({"workers": 4}, 5525, "service cores"),
        ({"workers": 16, "service_cores": 16, "connections": 160}, 16000, "database cores"),
        ({"workers": 16, "service_cores": 16, "database_cores": 8}, 14085, "connections"),
    ],
)
def test_more_of_a_component_helps_until_another_is_the_bottleneck(
    changes: dict[str, Any], rate: float, bottleneck: str
) -> None:
    found = capacity(MEASURED, replace(SMALL, **changes))
    assert (round(found[0]), found[1]) == (rate, bottleneck)


def test_a_distant_database_is_limited_by_its_connections() -> None:
    far = replace(MEASURED, connection=20e-3)
    rate, bottleneck = capacity(far, replace(SMALL, workers=2, connections=20))
    assert (round(rate), bottleneck) == (1000, "connections")
