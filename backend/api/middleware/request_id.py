"""Gives every request an id: the caller's `X-Request-ID` where it is fit for a log, else a new one."""

import os
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.observability.logging import request_context

__all__ = ["RequestIdMiddleware"]

_FIT = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIdMiddleware:
    """Puts `request_id` into the request's state, the log's context, and the answer's `X-Request-ID`.

    Lies within the span, whose trace the log's context names too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _FIT.fullmatch(given) else os.urandom(16).hex()
        state = scope.setdefault("state", {})
        state["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        # The trace's id is there while tracing is on.
        token = request_context.set(
            {name: state[name] for name in ("request_id", "trace_id") if name in state}
        )
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            request_context.reset(token)
