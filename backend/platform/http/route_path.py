"""The path that Starlette matches routes against: without the root path that the service is mounted at.

Leans on `starlette._utils.get_route_path`. Without it the same rule applies here.
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
