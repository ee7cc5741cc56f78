"""Gives every request an id: the caller's `X-Request-ID` where it is safe to log, else a new one."""

import random
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.platform.http.request_headers import header_values
from backend.platform.observability.logging import request_context

__all__ = ["RequestIdMiddleware"]

_FIT = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIdMiddleware:
    """Puts `request_id` into the request's state and the log's context.

    Runs inside the span, whose trace id is in the log's context too. `ResponseHeadersMiddleware` adds it to the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next(iter(header_values(scope, b"x-request-id")), "")
        # Not a secret; the kernel's random numbers cost a system call.
        request_id = given if _FIT.fullmatch(given) else f"{random.getrandbits(128):032x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # The trace id exists while tracing is on.
        token = request_context.set(
            {name: state[name] for name in ("request_id", "trace_id") if name in state}
        )
        try:
            await self._app(scope, receive, send)
        finally:
            request_context.reset(token)
