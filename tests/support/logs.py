"""Logging as it was before a test configured it."""

import contextlib
import logging
from collections.abc import Iterator

import structlog

from backend.platform.observability.access_log import reset_access_log

__all__ = ["restored_logging"]

_CONFIGURED = ("uvicorn.error", "gunicorn.error", "uvicorn.access", "gunicorn.access")


@contextlib.contextmanager
def restored_logging() -> Iterator[None]:
    """Undo `configure_logging` when the block ends."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configuration = structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**configuration)
        reset_access_log()
        root.handlers[:] = handlers
        root.setLevel(level)
        for logger in map(logging.getLogger, _CONFIGURED):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
