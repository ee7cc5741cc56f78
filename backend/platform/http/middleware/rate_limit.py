"""Bounds the requests of a user in a minute, where the operator sets a limit."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.http.problem_details import HttpError, problem_response

__all__ = ["RateLimitMiddleware"]

_WINDOW_SECONDS = 60.0
_MAX_USERS = 100_000
"""Users remembered; whoever was quiet for longest is forgotten, which only favours them."""

_MOST_HELD = 1_000
"""Refusals held back at once; one takes some 20 kB of memory."""


class RateLimitMiddleware:
    """Answers 429 beyond the limit; each answer tells what is left (draft-ietf-httpapi-ratelimit-headers).

    A refusal is held back for a while: it costs a good part of what an answer costs, and a program
    that tries again at once would take the worker's time from everybody else.

    A leaky bucket a user, in this worker alone: what the whole service allows is as much
    times the workers. It needs the principal, so it lies within authentication.

    Args:
        limit: Requests of a user in a minute, at least 1.
        clock: Seconds that only go forward.
        hold_seconds: How long a refusal is held back.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
        hold_seconds: float = 1.0,
    ) -> None:
        self._app = app
        self._limit = limit
        self._interval = _WINDOW_SECONDS / limit
        self._clock = clock
        self._hold_seconds = hold_seconds
        self._held = 0
        # For each user the time at which their bucket is empty again.
        self._empty_at: OrderedDict[str, float] = OrderedDict()
        self._policy = f'"user";q={limit};w={_WINDOW_SECONDS:.0f}'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        principal = scope.get("state", {}).get("principal") if scope["type"] == "http" else None
        if principal is None:
            await self._app(scope, receive, send)
            return
        remaining, reset_seconds = self._take(principal.user_id)
        headers = [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", f'"user";r={max(0, remaining)};t={math.ceil(reset_seconds)}'.encode()),
        ]

        async def send_with_limit(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        if remaining < 0:
            await self._hold_back()
            error = HttpError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"You may send {self._limit} requests a minute.",
                {"Retry-After": str(math.ceil(self._interval))},
            )
            await problem_response(scope, error)(scope, receive, send_with_limit)
            return
        await self._app(scope, receive, send_with_limit)

    async def _hold_back(self) -> None:
        if self._held >= _MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(self._hold_seconds)
        finally:
            self._held -= 1

    def _take(self, user: str) -> tuple[int, float]:
        """Count a request; return what is left, -1 where nothing was, and the seconds until all is."""
        now = self._clock()
        empty_at = max(self._empty_at.get(user, now), now) + self._interval
        if empty_at - now > _WINDOW_SECONDS + self._interval / 2:
            return -1, empty_at - self._interval - now
        self._empty_at[user] = empty_at
        self._empty_at.move_to_end(user)
        if len(self._empty_at) > _MAX_USERS:
            self._empty_at.popitem(last=False)
        return math.floor((_WINDOW_SECONDS - (empty_at - now)) / self._interval + 1e-6), empty_at - now
