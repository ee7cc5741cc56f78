"""Waits for a state, never for a time; one factor scales every time-out, for a slow machine is no failure."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, overload

__all__ = ["FACTOR_VARIABLE", "calibrate", "poll_until", "scaled", "stretched", "timeout"]

FACTOR_VARIABLE = "TEST_TIMEOUT_FACTOR"
_NOMINAL_SECONDS = 0.2
"""What `_work` takes on an idle machine of 2025."""
_HEADROOM = 4
_PAUSE_SECONDS = 0.02


def calibrate() -> float:
    """Return the factor of this run: that of the environment, or four times how much slower this machine is.

    It is stored in the environment, where the processes of the run find it.
    """
    if not os.environ.get(FACTOR_VARIABLE):
        started = time.perf_counter()
        _work()
        slowness = (time.perf_counter() - started) / _NOMINAL_SECONDS
        os.environ[FACTOR_VARIABLE] = f"{_HEADROOM * max(1.0, slowness):.1f}"
    return float(os.environ[FACTOR_VARIABLE])


def scaled(seconds: float) -> float:
    """Return a time-out, given what an idle machine needs."""
    return seconds * float(os.environ.get(FACTOR_VARIABLE) or _HEADROOM)


def stretched(seconds: float) -> float:
    """Return a time-out, given one that is generous on an idle machine."""
    return max(seconds, scaled(seconds) / _HEADROOM)


def timeout(seconds: float) -> asyncio.Timeout:
    """Bound a block as `asyncio.timeout` does, by a scaled time."""
    return asyncio.timeout(scaled(seconds))


@overload
async def poll_until[Found](
    look: Callable[[], Awaitable[Found]],
    seconds: float = ...,
    *,
    what: str = ...,
    retried: tuple[type[Exception], ...] = ...,
) -> Found: ...


@overload
async def poll_until[Found](
    look: Callable[[], Found],
    seconds: float = ...,
    *,
    what: str = ...,
    retried: tuple[type[Exception], ...] = ...,
) -> Found: ...


async def poll_until(
    look: Callable[[], Any],
    seconds: float = 20,
    *,
    what: str = "the expected state",
    retried: tuple[type[Exception], ...] = (),
) -> Any:
    """Look again and again until there is something, and return it.

    Args:
        look: Returns something true once the state is reached.
        seconds: How long an idle machine may take; scaled.
        what: The state, for the message of a failure.
        retried: Exceptions of `look` that only mean "not yet".

    Raises:
        AssertionError: It is not reached in time.
    """
    last: object = None
    try:
        async with timeout(seconds):
            while True:
                try:
                    found = look()
                    last = await found if inspect.isawaitable(found) else found
                    if last:
                        return last
                except retried as error:
                    last = error
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {scaled(seconds):.0f} s: {what}; last seen: {last!r}") from None


def _work() -> None:
    """Compute for a while: long enough for a quota of CPU time to be noticed."""
    for number in range(3_000_000):
        hash(number)
