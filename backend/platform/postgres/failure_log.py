"""Logs the database failures that an operator can act on."""

import structlog

from backend.platform.errors import DatabaseMisconfigured, DatabaseUnavailable
from backend.platform.postgres.error_translation import translate

__all__ = ["translate_and_log"]

_log = structlog.get_logger()


def translate_and_log(error: Exception, role: str | None) -> Exception:
    """Return the domain error to raise instead, or the error itself if it is no database failure.

    Args:
        error: Exception of the driver.
        role: Role of the last connection, None before the first one.
    """
    failure = translate(error)
    cause = {"error": type(error).__name__, "sqlstate": getattr(error, "sqlstate", None)}
    if isinstance(failure, DatabaseMisconfigured):
        _log.error("database misconfigured", **cause, role=role, reason=failure.reason)
    elif isinstance(failure, DatabaseUnavailable):
        _log.warning("database failure", **cause)
    return failure or error
