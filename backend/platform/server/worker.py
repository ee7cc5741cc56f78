"""The Gunicorn worker: uvicorn-worker's, with a graceful shutdown without lost requests, and an exit reason."""

import asyncio
import os
import signal
import socket
import sys
from typing import Any, override

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from backend.platform.observability.multiprocess_metrics import metrics_directory
from backend.platform.server.drain import shutdown_flag
from backend.platform.server.http_protocol import BoundedHttpProtocol

__all__ = ["EXIT_REASONS", "GracefulUvicornWorker", "exit_reason"]

EXIT_REASONS = ("stopped", "recycled", "timeout", "crashed")
"""Stopped by a signal; reached MAX_REQUESTS; hung and killed by the master; any other reason."""

CONNECTION_CLOSE_GRACE_SECONDS = 1.0
"""Time that a stopping worker still serves, with `Connection: close`; longer than the usual pause between requests."""

_LAST_REQUEST_SECONDS = 0.3

_SHUTDOWN_SECONDS = 5
"""Part of the graceful timeout that is reserved for the end of the lifespan: export of spans, close of the pool."""


class GracefulShutdownServer(Server):
    """Asks clients to close their connections before it closes them.

    uvicorn closes idle connections at once, even if a request is about to arrive on them.
    """

    def end(self) -> None:
        """Stop the server, like SIGTERM."""
        self.should_exit = True

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        shutdown_flag.is_set = True
        _record_exit_reason("stopped" if self.should_exit else "recycled")
        await asyncio.sleep(CONNECTION_CLOSE_GRACE_SECONDS)
        for server in self.servers:
            server.close()
        # The request of a just accepted connection may not have arrived yet.
        await asyncio.sleep(_LAST_REQUEST_SECONDS)
        await super().shutdown(sockets)


class GracefulUvicornWorker(UvicornWorker):  # type: ignore[misc]  # the package has no types
    """The worker class for `gunicorn --worker-class backend.platform.server.worker.GracefulUvicornWorker`."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - same type as in the base class
        "loop": "uvloop",
        "http": BoundedHttpProtocol,
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # uvicorn-worker does not set this, so a long request would prevent the end of the lifespan.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _SHUTDOWN_SECONDS)

    @override
    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulShutdownServer(self.config)
        # The handler of uvicorn-worker has no effect on uvicorn, so Ctrl-C would take the whole graceful timeout.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.end)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def exit_reason(process_id: int, *, was_aborted: bool) -> str:
    """Return why a worker ended, one of EXIT_REASONS. The master calls this once for each worker.

    Args:
        process_id: Process id of the ended worker.
        was_aborted: Whether the master killed it because it hung.
    """
    directory = metrics_directory()
    record = directory / f"exit_{process_id}" if directory is not None else None
    if record is not None and record.exists():
        reason = record.read_text()
        record.unlink()
        return reason
    return "timeout" if was_aborted else "crashed"


def _record_exit_reason(reason: str) -> None:
    directory = metrics_directory()
    if directory is not None:
        (directory / f"exit_{os.getpid()}").write_text(reason)
