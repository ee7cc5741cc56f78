"""Assigns an id to every request: the client's `X-Request-ID` if it is safe to log, else a new id."""

import random
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.platform.http.request_headers import header_values
from backend.platform.observability.logging import request_context

__all__ = ["RequestIdMiddleware"]

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIdMiddleware:
    """Adds `request_id` to the request's state and to the log context.

    It runs inside the span, so that the log context has the trace id too. `ResponseHeadersMiddleware` adds the id to
    the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client_id = next(iter(header_values(scope, b"x-request-id")), "")
        # The id is not a secret, so it needs no system call for cryptographic random numbers.
        request_id = client_id if _VALID_ID.fullmatch(client_id) else f"{random.getrandbits(128):032x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # The trace id exists only while tracing is on.
        token = request_context.set(
            {name: state[name] for name in ("request_id", "trace_id") if name in state}
        )
        try:
            await self._app(scope, receive, send)
        finally:
            request_context.reset(token)
