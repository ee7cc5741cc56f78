"""Opens the first connections of a pool, so that the first requests do not wait for them."""

import structlog

from backend.platform.errors import DatabaseMisconfigured
from backend.platform.postgres.error_translation import translate
from backend.platform.postgres.pool import ConnectionPool

__all__ = ["prewarm"]

_log = structlog.get_logger()


async def prewarm(pool: ConnectionPool, size: int) -> None:
    """Open connections, and log why they cannot be opened."""
    failures = await pool.prewarm(size)
    if failures:
        failure = translate(failures[0])
        reason = failure.reason if isinstance(failure, DatabaseMisconfigured) else None
        _log.warning("no database connection at the start", error=type(failures[0]).__name__, reason=reason)
