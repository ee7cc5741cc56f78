"""Bounds how many requests a worker answers at once, and how long each may take."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.problems import HttpError, problem_response

__all__ = ["OverloadMiddleware"]

_RETRY_AFTER = {"Retry-After": "1"}


class OverloadMiddleware:
    """Answers 503 beyond the worker's capacity and 504 after the time limit; probes and metrics pass.

    Args:
        max_concurrent: Requests under `/api/` that are answered at once.
        timeout_seconds: Longest time for one.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, timeout_seconds: float) -> None:
        self._app = app
        self._max_concurrent = max_concurrent
        self._timeout_seconds = timeout_seconds
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        if self._active >= self._max_concurrent:
            full = HttpError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many requests are under way here. Try again.",
                _RETRY_AFTER,
            )
            await problem_response(scope, full)(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        self._active += 1
        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                await self._app(scope, receive, note_start)
        except TimeoutError:
            if (
                started or not limit.expired()
            ):  # half an answer cannot be mended; another's timeout is not ours
                raise
            late = HttpError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"There was no answer within {self._timeout_seconds:g} seconds.",
                {"Retry-After": "2"},
            )
            await problem_response(scope, late)(scope, receive, send)
        finally:
            self._active -= 1
