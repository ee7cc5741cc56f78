"""Adds the headers of every response: request id, security headers, and `Connection: close` during a drain."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.server.drain import Drain

__all__ = ["ResponseHeadersMiddleware"]

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
)
_CLOSE = (b"connection", b"close")


class ResponseHeadersMiddleware:
    """Adds headers to each response; runs inside `RequestIdMiddleware`.

    Args:
        drain: While it is active, responses ask the client to close the connection (RFC 9112 §9.6),
            so that no connection is open when the worker stops.
        hsts_max_age_seconds: `max-age` of Strict-Transport-Security (RFC 6797), in seconds. The header is sent over
            HTTPS only. 0 disables it.
    """

    def __init__(self, app: ASGIApp, drain: Drain, hsts_max_age_seconds: int) -> None:
        self._app = app
        self._drain = drain
        self._https_headers = (
            ((b"strict-transport-security", b"max-age=%d; includeSubDomains" % hsts_max_age_seconds),)
            if hsts_max_age_seconds
            else ()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id: str = scope["state"]["request_id"]
                headers = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *_SECURITY_HEADERS,
                ]
                if scope["scheme"] == "https":
                    headers += self._https_headers
                if self._drain.active:
                    headers.append(_CLOSE)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)
