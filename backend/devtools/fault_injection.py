"""Fault injection in development, to test alerts and dashboards."""

import asyncio
import random

__all__ = ["FaultInjector", "InjectedFault"]


class InjectedFault(Exception):
    """An injected failure; the request gets 500."""


class FaultInjector:
    """Delays requests and makes a share of them fail.

    A FastAPI dependency calls it, not a middleware: middleware runs before routing, so its failures would have no
    route in the metrics.

    Args:
        error_rate: Share of requests that fail, 0 to 1.
        latency_seconds: Delay of each request in seconds.
    """

    def __init__(self, error_rate: float, latency_seconds: float) -> None:
        self._error_rate = error_rate
        self._latency_seconds = latency_seconds

    async def inject(self) -> None:
        """Delay the current request, and fail it with the configured probability.

        Raises:
            InjectedFault: The request is one of the failing share.
        """
        if self._latency_seconds:
            await asyncio.sleep(self._latency_seconds)
        if random.random() < self._error_rate:  # noqa: S311 - not a secret
            raise InjectedFault("injected by FAULT_ERROR_RATE")
