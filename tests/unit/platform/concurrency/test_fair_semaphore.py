"""FairSemaphore: order of waiters, deadlines, and cancellation."""

import asyncio
import math

import pytest

from backend.platform.concurrency.fair_semaphore import FairSemaphore
from tests.support.virtual_time import in_virtual_time


@in_virtual_time
async def test_free_permits_are_acquired_at_once() -> None:
    semaphore = FairSemaphore(2)
    assert [await semaphore.acquire(0), await semaphore.acquire(0)] == [True, True]


@in_virtual_time
async def test_permits_go_to_waiters_in_order_of_arrival() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(60)
    acquired: list[str] = []

    async def wait(name: str) -> None:
        await semaphore.acquire(60)
        acquired.append(name)

    first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    semaphore.release()
    newcomer = asyncio.create_task(wait("newcomer"))
    await first
    semaphore.release()
    await second
    semaphore.release()
    await newcomer
    assert acquired == ["first", "second", "newcomer"]


@in_virtual_time
async def test_each_waiter_times_out_at_its_own_deadline() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(0)
    loop = asyncio.get_running_loop()
    waited: dict[float, float] = {}

    async def wait(start: float, deadline: float) -> None:
        await asyncio.sleep(start)
        assert not await semaphore.acquire(deadline)
        waited[deadline] = loop.time()

    async with asyncio.TaskGroup() as group:
        for start, deadline in ((0, 1.0), (0.1, 0.5), (0.2, 0.7), (0.3, 3.0), (2.0, 2.5), (2.6, 2.6)):
            group.create_task(wait(start, deadline))
    assert waited == pytest.approx({deadline: deadline for deadline in waited})
    assert len(waited) == 6
    assert semaphore.waiting == 0
    semaphore.release()
    assert await semaphore.acquire(0)


@in_virtual_time
async def test_timed_out_waiters_get_no_permit() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(0)
    short, long = (asyncio.create_task(semaphore.acquire(deadline)) for deadline in (1, 60))
    await asyncio.sleep(2)
    semaphore.release()
    assert [await short, await long] == [False, True]
    assert asyncio.get_running_loop().time() == pytest.approx(2)


@pytest.mark.parametrize("acquired_before", [True, False])
@in_virtual_time
async def test_a_cancelled_waiter_keeps_no_permit(*, acquired_before: bool) -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(60)
    cancelled = asyncio.create_task(semaphore.acquire(60))
    await asyncio.sleep(0)
    if acquired_before:  # gets the permit and is cancelled in the same iteration of the event loop
        semaphore.release()
        cancelled.cancel()
    else:
        cancelled.cancel()
        await asyncio.sleep(0)
        semaphore.release()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert semaphore.is_idle
    assert await semaphore.acquire(0)


@in_virtual_time
async def test_cancelled_waiters_are_not_counted() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(60)
    waiting = [asyncio.create_task(semaphore.acquire(60)) for _ in range(5)]
    await asyncio.sleep(0)
    assert (semaphore.try_acquire(), semaphore.waiting) == (False, 5)
    for each in waiting[1:4]:
        each.cancel()
    await asyncio.sleep(0)
    assert semaphore.waiting == 2


@in_virtual_time
async def test_no_state_remains_after_a_release() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(0)
    for number in range(100):
        waiting = asyncio.create_task(semaphore.acquire(number + 1000))
        await asyncio.sleep(0)
        semaphore.release()
        assert await waiting
    assert (semaphore.waiting, len(semaphore._deadlines)) == (0, 0)
    assert math.isclose(asyncio.get_running_loop().time(), 0)
