"""Drain: takes a process out of service without losing requests; also the `preStop` command.

It imports few modules, so that the command starts fast.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from backend.platform.errors import ConfigurationError
from backend.platform.settings.environment import DEFAULT_RUN_DIR, read_variables

__all__ = ["Drain", "drain_marker_path", "main", "shutdown_flag"]

_POLL_SECONDS = 0.2
_MAX_SECONDS = 3600


class _ShutdownFlag:
    """Set when the worker stops, so that its responses close their connections."""

    is_set = False


shutdown_flag = _ShutdownFlag()


class Drain:
    """State of the drain: active if the marker file exists (for every worker), or if this worker stops.

    Args:
        marker: Path of the marker file.
    """

    def __init__(self, marker: Path) -> None:
        self._marker = marker
        self._marker_exists = False

    @property
    def active(self) -> bool:
        """Whether responses have `Connection: close` and readiness fails."""
        return self._marker_exists or shutdown_flag.is_set

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Poll the marker file while the block runs."""
        task = asyncio.create_task(self._watch(), name="drain watch")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._marker_exists = os.path.exists(self._marker)  # noqa: ASYNC240, PTH110 - a microsecond, on a tmpfs
            await asyncio.sleep(_POLL_SECONDS)


def drain_marker_path(run_dir: Path) -> Path:
    """Return the path of the marker file. While the file exists, every worker drains."""
    return run_dir / "draining"


def main() -> None:
    """Start the drain and wait: `python -m backend.platform.server.drain [seconds]`.

    Run it before SIGTERM (Kubernetes' `preStop`). During the seconds (default 10) load balancers
    stop sending requests to this process.
    """
    try:
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _MAX_SECONDS:
        raise SystemExit(f"drain: {sys.argv[1]!r} is not a number of seconds from 0 to {_MAX_SECONDS}")
    try:
        marker = drain_marker_path(Path(read_variables(("run_dir",)).get("run_dir", DEFAULT_RUN_DIR)))
        marker.touch()
    except ConfigurationError as error:
        raise SystemExit(f"drain: {error}") from None
    except OSError as error:
        raise SystemExit(f"drain: {marker} cannot be written ({error.strerror}); is RUN_DIR right?") from None
    time.sleep(seconds)


if __name__ == "__main__":
    main()
