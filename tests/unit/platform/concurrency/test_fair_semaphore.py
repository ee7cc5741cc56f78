"""Places go to who asked first; nobody waits for too long, and no place is lost on the way."""

import asyncio
import math

import pytest

from backend.platform.concurrency.fair_semaphore import FairSemaphore
from tests.support.virtual_time import in_virtual_time


@in_virtual_time
async def test_free_places_are_taken_at_once() -> None:
    turns = FairSemaphore(2)
    assert [await turns.acquire(0), await turns.acquire(0)] == [True, True]


@in_virtual_time
async def test_a_place_goes_to_who_waits_longest_and_not_to_who_asks_next() -> None:
    turns = FairSemaphore(1)
    await turns.acquire(60)
    got: list[str] = []

    async def wait(name: str) -> None:
        await turns.acquire(60)
        got.append(name)

    first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    turns.release()
    newcomer = asyncio.create_task(wait("newcomer"))
    await first
    turns.release()
    await second
    turns.release()
    await newcomer
    assert got == ["first", "second", "newcomer"]


@in_virtual_time
async def test_each_waits_until_its_deadline_whatever_their_order() -> None:
    turns = FairSemaphore(1)
    await turns.acquire(0)
    loop = asyncio.get_running_loop()
    waited: dict[float, float] = {}

    async def wait(began: float, deadline: float) -> None:
        await asyncio.sleep(began)
        assert not await turns.acquire(deadline)
        waited[deadline] = loop.time()

    async with asyncio.TaskGroup() as group:
        for began, deadline in ((0, 1.0), (0.1, 0.5), (0.2, 0.7), (0.3, 3.0), (2.0, 2.5), (2.6, 2.6)):
            group.create_task(wait(began, deadline))
    assert waited == pytest.approx({deadline: deadline for deadline in waited})
    assert len(waited) == 6
    assert turns.waiting == 0
    turns.release()
    assert await turns.acquire(0)


@in_virtual_time
async def test_a_place_goes_past_those_whose_time_is_over() -> None:
    turns = FairSemaphore(1)
    await turns.acquire(0)
    late, patient = (asyncio.create_task(turns.acquire(deadline)) for deadline in (1, 60))
    await asyncio.sleep(2)
    turns.release()
    assert [await late, await patient] == [False, True]
    assert asyncio.get_running_loop().time() == pytest.approx(2)


@pytest.mark.parametrize("given_before", [True, False])
@in_virtual_time
async def test_who_leaves_takes_no_place_along(*, given_before: bool) -> None:
    turns = FairSemaphore(1)
    await turns.acquire(60)
    leaving = asyncio.create_task(turns.acquire(60))
    await asyncio.sleep(0)
    if given_before:  # the place and the end reach it in the same iteration of the event loop
        turns.release()
        leaving.cancel()
    else:
        leaving.cancel()
        await asyncio.sleep(0)
        turns.release()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert turns.is_idle
    assert await turns.acquire(0)


@in_virtual_time
async def test_who_leaves_is_not_counted_as_waiting() -> None:
    turns = FairSemaphore(1)
    await turns.acquire(60)
    waiting = [asyncio.create_task(turns.acquire(60)) for _ in range(5)]
    await asyncio.sleep(0)
    assert (turns.is_full, turns.waiting) == (True, 5)
    for each in waiting[1:4]:
        each.cancel()
    await asyncio.sleep(0)
    assert turns.waiting == 2


@in_virtual_time
async def test_nothing_is_kept_of_those_who_had_their_turn() -> None:
    turns = FairSemaphore(1)
    await turns.acquire(0)
    for number in range(100):
        waiting = asyncio.create_task(turns.acquire(number + 1000))
        await asyncio.sleep(0)
        turns.release()
        assert await waiting
    assert (turns.waiting, len(turns._deadlines)) == (0, 0)
    assert math.isclose(asyncio.get_running_loop().time(), 0)
