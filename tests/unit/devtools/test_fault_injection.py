"""Injected faults: their share and their delay."""

import asyncio
import random

import pytest

from backend.devtools.fault_injection import FaultInjector, InjectedFault
from tests.support.fakes import FakeRepository, app_on
from tests.support.virtual_time import in_virtual_time


async def share_of_failures(error_rate: float) -> float:
    injector = FaultInjector(error_rate, 0)
    failures = 0
    for _ in range(1000):
        try:
            await injector.inject()
        except InjectedFault:
            failures += 1
    return failures / 1000


@pytest.mark.parametrize(("error_rate", "tolerance"), [(0, 0), (0.3, 0.1), (1, 0)])
async def test_configured_share_of_requests_fails(error_rate: float, tolerance: float) -> None:
    random.seed(1)
    assert abs(await share_of_failures(error_rate) - error_rate) <= tolerance


@in_virtual_time
async def test_each_request_is_delayed_before_it_fails() -> None:
    with pytest.raises(InjectedFault):
        await FaultInjector(1, 2.5).inject()
    assert asyncio.get_running_loop().time() == 2.5


@pytest.mark.parametrize(
    ("settings", "is_on"),
    [({}, False), ({"fault_error_rate": 0.1}, True), ({"fault_latency_seconds": 1}, True)],
)
def test_faults_are_injected_only_if_they_are_configured(settings: dict[str, float], *, is_on: bool) -> None:
    assert (app_on(FakeRepository(), **settings).state.inject_fault is not None) == is_on
