"""Limits the number of concurrent requests of a worker, and the time of each."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.auth.principal import Principal
from backend.platform.concurrency.fair_semaphore import FairSemaphore
from backend.platform.http.problem_details import HttpError, problem_response

__all__ = ["ConcurrencyLimitMiddleware"]

_RETRY_AFTER = {"Retry-After": "1"}

_MAX_WAITING = 5_000
"""Most queued requests of a worker, in all queues; each takes some 20 kB of memory."""

_MAX_WAITING_OF_USER = 4_000
"""Most queued requests of one user, so that one user cannot fill the queue."""


class ConcurrencyLimitMiddleware:
    """Queues requests beyond the worker's capacity; 504 after the time limit; probes and metrics pass.

    A request that has waited too long, or finds the queue full, gets 503. A 503 costs nearly as much CPU as a 200,
    so requests queue instead of being rejected at once. Each user has a queue, so that one user's many requests
    do not delay those of others.

    Args:
        max_concurrent: Concurrent requests with a token.
        max_concurrent_of_user: Those of one user.
        timeout_seconds: Longest time of a request.
        queue_timeout_seconds: Longest wait of a request, in both queues together.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_concurrent: int,
        max_concurrent_of_user: int,
        timeout_seconds: float,
        queue_timeout_seconds: float = 1.0,
    ) -> None:
        self._app = app
        self._limiter = FairSemaphore(max_concurrent)
        self._max_concurrent_of_user = max_concurrent_of_user
        # Only users with requests in flight.
        self._limiter_by_user: dict[str, FairSemaphore] = {}
        self._timeout_seconds = timeout_seconds
        self._queue_timeout_seconds = queue_timeout_seconds
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:
            await self._app(scope, receive, send)
            return
        user = principal.user_id
        own = self._limiter_by_user.get(user)
        if own is None:
            own = self._limiter_by_user[user] = FairSemaphore(self._max_concurrent_of_user)
        deadline = asyncio.get_running_loop().time() + self._queue_timeout_seconds
        try:
            if own.waiting >= _MAX_WAITING_OF_USER or not await self._take(own, deadline):
                await self._refuse(scope, receive, send)
                return
            try:
                await self._serve(scope, receive, send, deadline)
            finally:
                own.release()
        finally:
            if own.is_idle:
                self._limiter_by_user.pop(user, None)

    async def _take(self, places: FairSemaphore, deadline: float) -> bool:
        """Acquire a permit, unless the queue is full."""
        if not places.is_full:
            return await places.acquire(deadline)
        if self._waiting >= _MAX_WAITING:
            return False
        self._waiting += 1
        try:
            return await places.acquire(deadline)
        finally:
            self._waiting -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, deadline: float) -> None:
        if not await self._take(self._limiter, deadline):
            await self._refuse(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                await self._app(scope, receive, note_start)
        except TimeoutError:
            # A started response cannot be replaced, and a timeout from further inside is not this one.
            if started or not limit.expired():
                raise
            late = HttpError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"There was no answer within {self._timeout_seconds:g} seconds.",
                {"Retry-After": "2"},
            )
            await problem_response(scope, late)(scope, receive, send)
        finally:
            self._limiter.release()

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = HttpError(
            HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are under way here. Try again.", _RETRY_AFTER
        )
        await problem_response(scope, full)(scope, receive, send)
