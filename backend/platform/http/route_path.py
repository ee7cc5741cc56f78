"""The path that Starlette matches routes against: the request path without the root path.

Uses `starlette._utils.get_route_path`, an internal function. Without it an equal function is used.
"""

from starlette.types import Scope

__all__ = ["get_route_path"]


def _route_path(scope: Scope) -> str:
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    rest = path.removeprefix(root_path)
    return rest if rest[:1] in {"", "/"} else path


try:
    from starlette._utils import get_route_path
except ImportError:
    get_route_path = _route_path
