"""A fair (first-come, first-served) semaphore with a deadline for each waiter."""

import asyncio
import math
from collections import OrderedDict
from heapq import heappop, heappush

__all__ = ["FairSemaphore"]


class FairSemaphore:
    """A semaphore whose permits go to waiters in order of arrival.

    asyncio.Semaphore with asyncio.timeout uses three times the CPU per waiter, because it needs one timer for each.
    This class uses one timer, for the earliest deadline.

    Args:
        permits: Number of permits, at least 1.
    """

    def __init__(self, permits: int) -> None:
        self._permits = self._free = permits
        self._waiters: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        # Heap of (deadline, identity, waiter). The identity only makes equal deadlines comparable.
        self._deadlines: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_deadline = math.inf

    @property
    def is_idle(self) -> bool:
        """Whether all permits are free."""
        return self._free == self._permits

    @property
    def waiting(self) -> int:
        """Number of waiters, without cancelled and timed-out ones."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Acquire a free permit, which the caller must release. Return False if there is none."""
        if self._free:  # implies that there are no waiters
            self._free -= 1
            return True
        return False

    async def acquire(self, deadline: float) -> bool:
        """Acquire a permit. The caller must release it.

        Args:
            deadline: End of the wait, in seconds of the event loop's clock.

        Returns:
            False if no permit was free before the deadline.
        """
        if self.try_acquire():
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
            # The waiter may get a permit and be cancelled in the same iteration of the event loop.
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.release()
            raise

    def release(self) -> None:
        """Release a permit to the longest waiter, if there is one."""
        while self._waiters:
            first, _ = self._waiters.popitem(last=False)
            if not first.done():
                first.set_result(True)
                self._drop_done_deadlines()
                return
        self._free += 1

    def _drop_done_deadlines(self) -> None:
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
