"""Failures on purpose, in development, so that alerts and dashboards can be seen at work."""

import asyncio
import random

__all__ = ["FaultInjector", "InjectedFault"]


class InjectedFault(Exception):
    """A failure on purpose."""


class FaultInjector:
    """Delays requests and lets some fail.

    Called by a dependency and by no middleware: those run before a route is known, and a failure
    there would be counted under no route, unlike the real ones.

    Args:
        error_rate: Share of requests that fail, 0 to 1.
        latency_seconds: Delay of each request.
    """

    def __init__(self, error_rate: float, latency_seconds: float) -> None:
        self._error_rate = error_rate
        self._latency_seconds = latency_seconds

    async def inject(self) -> None:
        """Delay one request, and perhaps fail it.

        Raises:
            InjectedFault: As often as asked for.
        """
        if self._latency_seconds:
            await asyncio.sleep(self._latency_seconds)
        if random.random() < self._error_rate:  # noqa: S311 - no secret
            raise InjectedFault("FAULT_ERROR_RATE asks for failures")
