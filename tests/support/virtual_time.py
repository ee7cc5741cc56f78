"""An event loop whose clock jumps to the next timer: waits of any length take no time and end exactly."""

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, override

__all__ = ["in_virtual_time"]


class _Selector(selectors.SelectSelector):
    """Does not wait for a timer but moves the clock on."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    @override
    def time(self) -> float:
        return self._clock.now


def in_virtual_time[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test that needs no I/O on such a loop; its clock begins at 0."""

    @wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*arguments, **named), loop_factory=_Loop)

    # pytest reads the parameters; its plugin must not take this for the coroutine function that it wraps.
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    del run.__wrapped__
    return run
