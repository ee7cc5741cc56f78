"""Responds to an unhandled exception with a 500 problem, inside CORS, so that a browser can read it."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.http.problem_details import internal_error_response

__all__ = ["UnhandledExceptionMiddleware"]

_log = structlog.get_logger()


class UnhandledExceptionMiddleware:
    """Responds with 500 to an exception without a handler, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_track_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_track_start)
        except Exception:
            _log.exception("unexpected error", path=scope["path"])
            if started:  # the status is already sent, so the server can only close the connection
                raise
            await internal_error_response(scope)(scope, receive, send)
