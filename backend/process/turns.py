"""Places that are taken in the order of asking, and a time limit for those who wait."""

import asyncio
from collections import deque

__all__ = ["Turns"]


class Turns:
    """A number of places, first come, first served.

    asyncio's semaphore and timeout do the same, for three times the CPU of each that waits: a timer for each
    instead of one for all, whose waits are equally long.

    Args:
        places: How many there are, at least 1.
        wait_seconds: Longest wait for one.
        most_waiting: Longest line; whoever comes to such a one gets no place. None: any.
    """

    def __init__(self, places: int, wait_seconds: float, most_waiting: int | None = None) -> None:
        self._places = self._free = places
        self._wait_seconds = wait_seconds
        self._most_waiting = most_waiting
        # Of each that waits: until when, and what it is told.
        self._line: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_unused(self) -> bool:
        """Whether nobody has a place."""
        return self._free == self._places

    async def take(self) -> bool:
        """Take a place, which the caller gives back; False where none was free in time, or the line is too long."""
        if self._free:  # then nobody waits
            self._free -= 1
            return True
        if self._most_waiting is not None and len(self._line) >= self._most_waiting:
            return False
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()
        self._line.append((loop.time() + self._wait_seconds, told))
        if self._timer is None:
            self._timer = loop.call_later(self._wait_seconds, self._expire)
        try:
            return await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled() and told.result():  # both in the same turn of the loop
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place to who waits longest, if anybody does."""
        while self._line:
            _, first = self._line.popleft()
            if not first.done():
                first.set_result(True)
                return
        self._free += 1

    def _expire(self) -> None:
        """Tell those whose time is over, and look again when the next one's is."""
        loop = asyncio.get_running_loop()
        while self._line and (self._line[0][0] <= loop.time() or self._line[0][1].done()):
            _, first = self._line.popleft()
            if not first.done():
                first.set_result(False)
        self._timer = loop.call_at(self._line[0][0], self._expire) if self._line else None
