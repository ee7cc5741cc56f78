"""What `task-service dev` prints once it serves: where to look, and a request that works."""

from backend.config import Settings
from backend.devtools.development_token import make_token
from backend.platform.server.listener import local_url
from backend.platform.settings.types import mask_url

__all__ = ["banner"]

_DAY_SECONDS = 24 * 60 * 60


def banner(settings: Settings, port: int) -> str:
    """Return the text.

    Args:
        settings: Those that the service runs with.
        port: On which it listens, 1 to 65535.
    """
    address = local_url(settings.host, port)
    lines = ["", f"  The service runs. Docs, to read and to try: {address}/docs"]
    if settings.uses_jwks:
        lines.append(f"  Tokens come from {mask_url(settings.better_auth_url or 'the key set')}.")
    else:
        development_token = make_token(settings, "developer", lifetime_seconds=_DAY_SECONDS)
        lines += [
            "  Create a task:",
            "",
            f"  curl -H 'Authorization: Bearer {development_token}' \\",
            f'    --json \'{{"title": "Buy milk"}}\' {address}/api/developer/tasks',
        ]
    return "\n".join([*lines, "", "  Ctrl-C stops it.", ""])
