"""Normalizes the path of a request, so that every layer reads the same path under any root path."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RootPathMiddleware"]


class RootPathMiddleware:
    """Makes `path` start with `root_path`, as ASGI requires, and removes percent-encoding and the trailing slash.

    Servers and proxies differ: uvicorn prepends `--root-path` to each path, and Gunicorn does not. Some proxies strip
    the prefix, others pass it on.

    Args:
        root_path: The prefix, such as `/svc`, if the server sets none. Empty for no prefix.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        configured = scope.get("root_path") or self._root_path
        if configured and scope["type"] == "http":
            segments = unquote(configured).strip("/")
            root_path = f"/{segments}" if segments else ""
            route_path = _route_path(scope["path"], configured, root_path)
            scope = {**scope, "root_path": root_path, "path": root_path + route_path}
        await self._app(scope, receive, send)


def _route_path(path: str, *root_paths: str) -> str:
    """Return the path without the first root path that is a prefix of it, or the whole path."""
    for root_path in root_paths:
        rest = path.removeprefix(root_path)
        if rest != path and rest[:1] in {"", "/"}:
            return rest
    return path
