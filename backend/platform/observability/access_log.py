"""The access log: one line for each request.

Accelerator `access_log`: renders the line without structlog's loggers. structlog builds a logger for each line and runs
processors that have no effect here. It uses no internals: structlog documents that a processor is a function of logger,
method and event.
"""

from collections.abc import Callable

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from backend.platform.settings.fast_paths import is_on

__all__ = ["access_log", "configure_access_log", "reset_access_log"]


def access_log(
    *,
    request_id: str | None,
    trace_id: str | None,
    user: str | None,
    route: str | None,
    method: str,
    status: int,
    duration_ms: float,
) -> None:
    """Log one line for a request.

    Args:
        request_id: The id of the request, which the response has too.
        trace_id: 32 hex digits; None while tracing is off.
        user: `sub` of the token; None without a valid token.
        route: The route template; None if no route matched. Never the path or the query.
        method: The HTTP method as sent.
        status: The HTTP status of the response.
        duration_ms: Time from the headers of the request to the end of the response, in milliseconds.
    """
    _write(
        {
            "event": "request",
            "request_id": request_id,
            "trace_id": trace_id,
            "user": user,
            "route": route,
            "method": method,
            "status": int(status),  # the console renderer prints an HTTPStatus as its name
            "duration_ms": round(duration_ms, 2),
            "level": "info",
        }
    )


def configure_access_log(logger: WrappedLogger, processors: list[Processor], *, is_written: bool) -> None:
    """Configure how `access_log` writes lines.

    Args:
        logger: The logger that writes a rendered line.
        processors: The processors of an access log line. The last one renders it.
        is_written: Whether the log level includes access log lines.
    """
    global _write  # noqa: PLW0603 - global, like structlog's configuration
    if not is_on("access_log"):
        _write = _write_by_structlog
    elif is_written:
        _write = _direct_writer(logger, processors)
    else:
        _write = _discard


def reset_access_log() -> None:
    """Restore the state before `configure_access_log`."""
    global _write  # noqa: PLW0603 - as above
    _write = _write_by_structlog


def _direct_writer(logger: WrappedLogger, processors: list[Processor]) -> Callable[[EventDict], None]:
    *earlier, render = processors

    def write(event: EventDict) -> None:
        for process in earlier:
            process(logger, "info", event)
        logger.info(render(logger, "info", event))

    return write


def _discard(_event: EventDict) -> None: ...


def _write_by_structlog(event: EventDict) -> None:
    structlog.get_logger("access").info(**event)


_write: Callable[[EventDict], None] = _write_by_structlog
