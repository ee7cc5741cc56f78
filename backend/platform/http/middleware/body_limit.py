"""Limits the size of a request body, and the time that a client has to send it.

FastAPI's and Starlette's body limits run the route first and respond in text/plain (docs/decisions/0036-accelerators.md).
"""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.http.problem_details import HttpError, problem_response
from backend.platform.http.request_headers import header_values

__all__ = ["BodyLimitMiddleware"]


class BodyLimitMiddleware:
    """Rejects a body that is too large (413) or too slow (408).

    Args:
        max_bytes: Maximum size of a body. A larger Content-Length is rejected before the body is read.
        timeout_seconds: Maximum time from the first read of the body to its end.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        content_length = header_values(scope, b"content-length")
        # The server has already checked that it is a number.
        if content_length and int(content_length[0]) > self._max_bytes:
            await problem_response(scope, self._too_large())(scope, receive, send)
            return
        received, complete = 0, False
        deadline: float | None = None

        async def receive_bounded() -> Message:
            nonlocal received, deadline, complete
            if complete:
                return await receive()
            if deadline is None:
                deadline = asyncio.get_running_loop().time() + self._timeout_seconds
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HttpError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"The body did not arrive within {self._timeout_seconds:g} seconds.",
                    # The rest of the body may still arrive, so the connection cannot be reused.
                    {"Connection": "close"},
                ) from None
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_bounded, send)

    def _too_large(self) -> HttpError:
        # No `Connection: close`: the server reads and discards the rest. Closing while the client still sends
        # would reset the connection, and the client could lose the response.
        return HttpError(
            HTTPStatus.CONTENT_TOO_LARGE, f"The body must not have more than {self._max_bytes} bytes."
        )
