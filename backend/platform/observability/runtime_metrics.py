"""Samples runtime metrics periodically: event-loop lag, connection pool, and the exemplars of this worker."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from backend.platform.observability.exemplars import exemplars_of_this_process, write_exemplars
from backend.platform.observability.metrics import PoolState, set_event_loop_lag, set_pool_state, worker_is_up
from backend.platform.observability.multiprocess_metrics import metrics_directory

__all__ = ["collect_runtime_metrics"]

_PERIOD_SECONDS = 0.5
_LAG_WINDOW = 30
"""Number of samples whose maximum lag is published; together about one scrape interval."""


@asynccontextmanager
async def collect_runtime_metrics(pool_state: Callable[[], PoolState] | None = None) -> AsyncIterator[None]:
    """Sample runtime metrics while the block runs.

    Args:
        pool_state: Returns the current state of the pool; None if there is no pool.
    """
    worker_is_up()
    task = asyncio.create_task(_sample(pool_state), name="metrics sampler")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sample(pool_state: Callable[[], PoolState] | None) -> None:
    lags: deque[float] = deque(maxlen=_LAG_WINDOW)
    directory = metrics_directory()
    written: object = {}  # an unchanged file is not written again, a quarter of the CPU time of an idle worker
    while True:
        if pool_state is not None:
            set_pool_state(pool_state())
        if directory is not None and written != exemplars_of_this_process:
            write_exemplars(directory, os.getpid())
            written = exemplars_of_this_process.copy()
        due = time.perf_counter() + _PERIOD_SECONDS
        await asyncio.sleep(_PERIOD_SECONDS)
        lags.append(max(0.0, time.perf_counter() - due))
        set_event_loop_lag(max(lags))
