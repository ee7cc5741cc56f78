"""A fair semaphore with a deadline for each waiter."""

import asyncio
import math
from collections import OrderedDict
from heapq import heappop, heappush

__all__ = ["FairSemaphore"]


class FairSemaphore:
    """A number of permits, first come, first served.

    asyncio.Semaphore with asyncio.timeout does the same for three times the CPU of a waiter: it needs a timer for
    each. Here one timer, for the earliest deadline, serves all waiters.

    Args:
        permits: How many there are, at least 1.
    """

    def __init__(self, permits: int) -> None:
        self._permits = self._free = permits
        self._waiters: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        # Heap of (deadline, identity, waiter); the identity only keeps equal deadlines comparable.
        self._deadlines: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_deadline = math.inf

    @property
    def is_idle(self) -> bool:
        """Whether all permits are free."""
        return self._free == self._permits

    @property
    def is_full(self) -> bool:
        """Whether `acquire` would have to wait."""
        return not self._free

    @property
    def waiting(self) -> int:
        """Number of waiters, without those that were cancelled or timed out."""
        return len(self._waiters)

    async def acquire(self, deadline: float) -> bool:
        """Acquire a permit, which the caller releases.

        Args:
            deadline: Until when to wait, in seconds of the event loop's clock.

        Returns:
            Whether a permit was free in time.
        """
        if self._free:  # there are no waiters then
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiters[waiter] = None
        heappush(self._deadlines, (deadline, id(waiter), waiter))
        if deadline < self._timer_deadline:
            self._set_timer(loop)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if (
                waiter.done() and not waiter.cancelled() and waiter.result()
            ):  # both in one iteration of the loop
                self.release()
            raise

    def release(self) -> None:
        """Release a permit to the longest waiter, if there is one."""
        while self._waiters:
            first, _ = self._waiters.popitem(last=False)
            if not first.done():
                first.set_result(True)
                self._drop_done()
                return
        self._free += 1

    def _drop_done(self) -> None:
        while self._deadlines and self._deadlines[0][2].done():
            heappop(self._deadlines)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_deadline = self._deadlines[0][0]
        self._timer = loop.call_at(self._timer_deadline, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the waiters whose deadline has passed, and set the timer for the next deadline."""
        now = loop.time()
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].done()):
            _, _, first = heappop(self._deadlines)
            if not first.done():
                del self._waiters[first]
                first.set_result(False)
        self._timer, self._timer_deadline = None, math.inf
        if self._deadlines:
            self._set_timer(loop)
