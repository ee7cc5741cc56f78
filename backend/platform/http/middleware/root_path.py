"""Gives every other layer one form of the path, wherever the service is mounted."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RootPathMiddleware"]


class RootPathMiddleware:
    """Makes `path` begin with `root_path`, as ASGI asks for, and both decoded, without a slash at the end.

    Servers and proxies differ: uvicorn puts `--root-path` in front of each path, Gunicorn does not;
    some proxies strip the prefix that they route by, others pass it on.

    Args:
        root_path: The prefix where the server sets none, such as `/svc`; empty for none.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        given = scope.get("root_path") or self._root_path
        if given and scope["type"] == "http":
            segments = unquote(given).strip("/")
            root_path = f"/{segments}" if segments else ""
            route_path = _route_path(scope["path"], given, root_path)
            scope = {**scope, "root_path": root_path, "path": root_path + route_path}
        await self._app(scope, receive, send)


def _route_path(path: str, *root_paths: str) -> str:
    """Return the part of the path below the first of the root paths that it lies below, else all of it."""
    for root_path in root_paths:
        rest = path.removeprefix(root_path)
        if rest != path and rest[:1] in {"", "/"}:
            return rest
    return path
