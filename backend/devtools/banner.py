"""The text that `task-service dev` prints at its start: the URL of the docs and a request to try."""

from backend.config import Settings
from backend.devtools.development_token import make_token
from backend.platform.server.listener import local_url
from backend.platform.settings.types import mask_url

__all__ = ["banner"]

_DAY_SECONDS = 24 * 60 * 60


def banner(settings: Settings, port: int) -> str:
    """Return the banner.

    Args:
        settings: Settings of the running service.
        port: Port that the service listens on, 1 to 65535.
    """
    url = local_url(settings.host, port)
    lines = ["", f"  The service runs. Interactive docs: {url}/docs"]
    if settings.uses_jwks:
        lines.append(f"  Tokens come from {mask_url(settings.better_auth_url or 'the key set')}.")
    else:
        development_token = make_token(settings, "developer", lifetime_seconds=_DAY_SECONDS)
        lines += [
            "  Create a task:",
            "",
            f"  curl -H 'Authorization: Bearer {development_token}' \\",
            f'    --json \'{{"title": "Buy milk"}}\' {url}/api/developer/tasks',
        ]
    return "\n".join([*lines, "", "  Ctrl-C stops it.", ""])
