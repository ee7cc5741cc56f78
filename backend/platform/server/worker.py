"""The Gunicorn worker: uvicorn-worker's, with a bounded graceful shutdown that loses no request, and an exit reason."""

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
"""Told to stop; reached MAX_REQUESTS; hung and killed by the master; anything else."""

CONNECTION_CLOSE_GRACE_SECONDS = 1.0
"""How long a stopping worker still serves, with `Connection: close`: longer than clients pause between requests."""

_LAST_REQUEST_SECONDS = 0.3

_SHUTDOWN_SECONDS = 5
"""Part of the graceful timeout reserved for the lifespan's end: export of spans, close of the pool."""


class GracefulShutdownServer(Server):
    """Asks clients to close their connections before it closes them.

    uvicorn closes idle connections at once, also those on which a request is arriving.
    """

    def end(self) -> None:
        """Stop as SIGTERM does."""
        self.should_exit = True

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        shutdown_flag.is_set = True
        _record_exit_reason("stopped" if self.should_exit else "recycled")
        await asyncio.sleep(CONNECTION_CLOSE_GRACE_SECONDS)
        for server in self.servers:
            server.close()
        # A connection accepted a moment ago may not have sent its request yet.
        await asyncio.sleep(_LAST_REQUEST_SECONDS)
        await super().shutdown(sockets)


class GracefulUvicornWorker(UvicornWorker):  # type: ignore[misc]  # its package has no types
    """A worker for `gunicorn --worker-class backend.platform.server.worker.GracefulUvicornWorker`."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - as the base class has it
        "loop": "uvloop",
        "http": BoundedHttpProtocol,
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # uvicorn-worker does not pass it on, so a long request would keep the lifespan from its end.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _SHUTDOWN_SECONDS)

    @override
    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulShutdownServer(self.config)
        # uvicorn-worker's own handler sets what uvicorn never reads: Ctrl-C took the whole graceful timeout.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.end)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def exit_reason(process_id: int, *, was_aborted: bool) -> str:
    """Return why a worker ended, one of EXIT_REASONS; for the master, once.

    Args:
        process_id: Of the worker, which has ended.
        was_aborted: The master killed it because it hung.
    """
    directory = metrics_directory()
    note = directory / f"exit_{process_id}" if directory is not None else None
    if note is not None and note.exists():
        reason = note.read_text()
        note.unlink()
        return reason
    return "timeout" if was_aborted else "crashed"


def _record_exit_reason(reason: str) -> None:
    directory = metrics_directory()
    if directory is not None:
        (directory / f"exit_{os.getpid()}").write_text(reason)
