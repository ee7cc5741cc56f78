"""Routes requests on the ops port to the probes and metrics, and all other requests to the service."""

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OpsPortMiddleware"]


class OpsPortMiddleware:
    """Serves probes and metrics on the ops port only, and the service on the public port only.

    Args:
        port: The ops port.
        ops: The application that serves the ops port.
    """

    def __init__(self, app: ASGIApp, port: int, ops: ASGIApp) -> None:
        self._app = app
        self._port = port
        self._ops = ops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_ops = scope["type"] == "http" and scope["server"] and scope["server"][1] == self._port
        await (self._ops if is_ops else self._app)(scope, receive, send)
