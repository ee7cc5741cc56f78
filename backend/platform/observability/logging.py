"""Configures the logs of the service and its libraries: JSON on stdout in production, plain text in development."""

import logging
import logging.config
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from backend.platform.errors import DomainError
from backend.platform.observability.access_log import configure_access_log
from backend.platform.settings.server import ServerSettings

__all__ = ["build_logging_config", "configure_logging", "request_context"]

request_context: ContextVar[Mapping[str, str]] = ContextVar("request_context", default=MappingProxyType({}))
"""Fields of every log line of a request. Faster than structlog.contextvars, which scans all context variables."""

_NOISY_LOGGERS = ("httpx", "httpcore", "alembic.runtime.plugins")
"""Loggers that log each HTTP request with its URL, or internals of the library."""


def configure_logging(settings: ServerSettings) -> None:
    """Write every log line of this process to stdout, in one format.

    Args:
        settings: `environment` selects JSON or plain text; `log_level` is the minimum level.
    """
    production = settings.environment == "production"
    level = logging.getLevelNamesMapping()[settings.log_level]
    # One write(2) per line. The handlers of the standard library use three times the CPU.
    logger_factory = structlog.BytesLoggerFactory() if production else structlog.PrintLoggerFactory()
    logging.config.dictConfig(build_logging_config(settings))
    structlog.configure(
        processors=[*_shared(production=production), *_renderers(production=production, as_bytes=True)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=logger_factory,
    )
    (render,) = _renderers(production=production, as_bytes=True)
    add_time = _add_datetime if production else _add_timestamp
    configure_access_log(logger_factory(), [add_time, render], is_written=level <= logging.INFO)


def build_logging_config(settings: ServerSettings) -> dict[str, Any]:
    """Return the configuration of the standard library's loggers, for `logging.config.dictConfig`."""
    production = settings.environment == "production"
    handled = {"handlers": ["stdout"], "level": settings.log_level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    *_shared(production=production),
                    structlog.stdlib.add_logger_name,
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderers(production=production, as_bytes=False),
                ],
            }
        },
        "handlers": {
            "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}
        },
        "loggers": {
            # The access logs of uvicorn and Gunicorn contain the raw query; `access_log` replaces them.
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "uvicorn.error": handled,
            "gunicorn.error": handled,
            **{name: {"level": "WARNING"} for name in _NOISY_LOGGERS},
        },
        "root": {"handlers": ["stdout"], "level": settings.log_level},
    }


_add_timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _add_datetime(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the time, which the JSON renderer formats as `_add_timestamp` does."""
    event["timestamp"] = datetime.now(UTC)
    return event


def _shared(*, production: bool) -> list[Processor]:
    processors: list[Processor] = [
        _add_request,
        structlog.processors.add_log_level,
        _add_timestamp,
    ]
    return [*processors, _format_exception] if production else processors


def _renderers(*, production: bool, as_bytes: bool) -> list[Processor]:
    if production:
        return [_render_bytes if as_bytes else _render_text]
    # The default formatter shows local variables, which contain tokens, and takes seconds.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _add_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in request_context.get().items():
        event.setdefault(name, value)
    return event


def _format_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Log type and stack of an exception, without its message: drivers and validators put client data there."""
    exc_info = event.pop("exc_info", None)
    if not exc_info:
        return event
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    else:
        error = exc_info[1] if isinstance(exc_info, tuple) else sys.exception()
    if error is not None:
        event["error"] = _error_name(error)
        event["stack"] = _frames(error.__traceback__)
        if error.__cause__ is not None:
            event["cause"] = _error_name(error.__cause__)
            event["cause_stack"] = _frames(error.__cause__.__traceback__)
    return event


def _error_name(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name}: {error.detail}" if isinstance(error, DomainError) else name


def _frames(stack: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(stack)]


def _render_bytes(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def _render_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _render_bytes(logger, method, event).decode()
