"""Places go to who asked first; nobody waits for too long, and no place is lost on the way."""

import asyncio

import pytest

from backend.process.turns import Turns


async def test_free_places_are_taken_at_once() -> None:
    turns = Turns(2, wait_seconds=60)
    assert [await turns.take(), await turns.take()] == [True, True]


async def test_a_place_goes_to_who_waits_longest_and_not_to_who_asks_next() -> None:
    turns = Turns(1, wait_seconds=60)
    await turns.take()
    got: list[str] = []

    async def wait(name: str) -> None:
        await turns.take()
        got.append(name)

    first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    turns.give_back()
    newcomer = asyncio.create_task(wait("newcomer"))
    await first
    turns.give_back()
    await second
    turns.give_back()
    await newcomer
    assert got == ["first", "second", "newcomer"]


async def test_each_waits_for_as_long_as_is_allowed() -> None:
    turns = Turns(1, wait_seconds=0.1)
    await turns.take()
    loop = asyncio.get_running_loop()
    waited: list[float] = []

    async def wait(after: float) -> None:
        await asyncio.sleep(after)
        began = loop.time()
        assert not await turns.take()
        waited.append(loop.time() - began)

    async with asyncio.TaskGroup() as group:
        for after in (0, 0.05, 0.3):
            group.create_task(wait(after))
    assert all(each > 0.09 for each in waited)
    turns.give_back()
    assert await turns.take()


@pytest.mark.parametrize("given_before", [True, False])
async def test_who_leaves_takes_no_place_along(*, given_before: bool) -> None:
    turns = Turns(1, wait_seconds=60)
    await turns.take()
    leaving = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    if given_before:  # the place and the end reach it in the same turn of the event loop
        turns.give_back()
        leaving.cancel()
    else:
        leaving.cancel()
        await asyncio.sleep(0)
        turns.give_back()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(1):
        assert await turns.take()


async def test_nobody_waits_at_the_end_of_a_long_line() -> None:
    turns = Turns(1, wait_seconds=60, most_waiting=1)
    await turns.take()
    waiting = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    assert not await turns.take()
    turns.give_back()
    assert await waiting
    turns.give_back()
    assert turns.is_unused
