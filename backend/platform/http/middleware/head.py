"""Responds to HEAD like GET without the body, on every route (RFC 9110 §9.3.2)."""

from http import HTTPMethod

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadMiddleware"]


class HeadMiddleware:
    """Passes HEAD on as GET, so that it has the status and headers of GET, and drops the body.

    FastAPI's routes do not accept HEAD by default. Metrics, access log and tracing run outside this middleware, so
    they report HEAD. Everything that can produce a response runs inside it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != HTTPMethod.HEAD:
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body"}
            await send(message)

        # A copy, because the server also reads the method from its scope when it frames the response.
        inner = {**scope, "method": HTTPMethod.GET.value}
        try:
            await self._app(inner, receive, send_without_body)
        finally:
            if "route" in inner:
                scope["route"] = inner["route"]  # label of metrics, access log and trace
