"""Limits the concurrent requests of a worker and the duration of each request."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.auth.principal import Principal
from backend.platform.concurrency.fair_semaphore import FairSemaphore
from backend.platform.http.problem_details import HttpError, problem_response

__all__ = ["ConcurrencyLimitMiddleware"]

_RETRY_AFTER = {"Retry-After": "1"}

_MAX_QUEUED = 5_000
"""Maximum queued requests of a worker, in all queues. Each takes about 20 kB of memory."""

_MAX_QUEUED_PER_USER = 4_000
"""Maximum queued requests of one user, so that one user cannot fill the queue."""


class ConcurrencyLimitMiddleware:
    """Queues requests beyond the worker's capacity (load shedding). Probes and metrics are not limited.

    A request gets 503 if it waits too long or the queue is full, and 504 after the time limit. A 503 costs nearly as
    much CPU as a 200, so requests queue instead of being rejected at once. Each user has a separate queue, so that the
    requests of one user do not delay those of other users.

    Args:
        max_concurrent: Maximum concurrent authenticated requests of the worker, at least 1.
        max_concurrent_per_user: Maximum concurrent requests of one user, at least 1.
        timeout_seconds: Maximum duration of a request, without its time in the queues.
        queue_timeout_seconds: Maximum time of a request in both queues together.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_concurrent: int,
        max_concurrent_per_user: int,
        timeout_seconds: float,
        queue_timeout_seconds: float = 1.0,
    ) -> None:
        self._app = app
        self._limiter = FairSemaphore(max_concurrent)
        self._max_concurrent_per_user = max_concurrent_per_user
        # Contains only users with requests in flight.
        self._limiter_by_user: dict[str, FairSemaphore] = {}
        self._timeout_seconds = timeout_seconds
        self._queue_timeout_seconds = queue_timeout_seconds
        self._queued = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:
            await self._app(scope, receive, send)
            return
        user = principal.user_id
        user_limiter = self._limiter_by_user.get(user)
        if user_limiter is None:
            user_limiter = self._limiter_by_user[user] = FairSemaphore(self._max_concurrent_per_user)
        deadline = asyncio.get_running_loop().time() + self._queue_timeout_seconds
        try:
            is_queue_full = user_limiter.waiting >= _MAX_QUEUED_PER_USER
            if is_queue_full or not (user_limiter.try_acquire() or await self._wait(user_limiter, deadline)):
                await self._reject(scope, receive, send)
                return
            try:
                await self._serve(scope, receive, send, deadline)
            finally:
                user_limiter.release()
        finally:
            if user_limiter.is_idle:
                self._limiter_by_user.pop(user, None)

    async def _wait(self, limiter: FairSemaphore, deadline: float) -> bool:
        """Wait for a permit. Return False if the queue is full or the deadline passes."""
        if self._queued >= _MAX_QUEUED:
            return False
        self._queued += 1
        try:
            return await limiter.acquire(deadline)
        finally:
            self._queued -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, deadline: float) -> None:
        if not (self._limiter.try_acquire() or await self._wait(self._limiter, deadline)):
            await self._reject(scope, receive, send)
            return
        started = False

        async def send_and_track_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_seconds) as timeout:
                await self._app(scope, receive, send_and_track_start)
        except TimeoutError:
            # A started response cannot be replaced. A TimeoutError of the application is not this timeout.
            if started or not timeout.expired():
                raise
            timed_out = HttpError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"There was no response within {self._timeout_seconds:g} seconds.",
                {"Retry-After": "2"},
            )
            await problem_response(scope, timed_out)(scope, receive, send)
        finally:
            self._limiter.release()

    async def _reject(self, scope: Scope, receive: Receive, send: Send) -> None:
        overloaded = HttpError(
            HTTPStatus.SERVICE_UNAVAILABLE, "The server handles too many requests. Try again.", _RETRY_AFTER
        )
        await problem_response(scope, overloaded)(scope, receive, send)
