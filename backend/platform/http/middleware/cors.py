"""CORS, for the requests that need it: those of a browser from another origin."""

from typing import override

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send

from backend.platform.http.request_headers import header_values

__all__ = ["FastPathCORSMiddleware"]

_VARIES = (b"vary", b"Origin")


class FastPathCORSMiddleware(CORSMiddleware):
    """Starlette's, which gives a request without `Origin` one header and takes a while to find that out."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or header_values(scope, b"origin"):
            await super().__call__(scope, receive, send)
            return

        async def send_varying(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A cache must not hand this answer to a browser, for which it lacks the headers.
                message["headers"] = [*message.get("headers", ()), _VARIES]
            await send(message)

        await self.app(scope, receive, send_varying)
