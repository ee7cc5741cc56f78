"""Drain: takes a process out of service without a lost request; also the `preStop` command.

It imports little, so that the command starts at once.
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
    """Set in a worker that stops, so that its responses close their connections."""

    is_set = False


shutdown_flag = _ShutdownFlag()


class Drain:
    """Whether the process drains: by a file, which every worker sees, or because this worker stops.

    Args:
        file: Where it exists, every worker drains.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_asked = False

    @property
    def active(self) -> bool:
        """Whether to respond with `Connection: close` and to fail readiness."""
        return self._is_asked or shutdown_flag.is_set

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for the file while the block runs."""
        task = asyncio.create_task(self._watch(), name="drain watch")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._is_asked = os.path.exists(self._file)  # noqa: ASYNC240, PTH110 - a microsecond, on a tmpfs
            await asyncio.sleep(_POLL_SECONDS)


def drain_marker_path(run_dir: Path) -> Path:
    """Return the file whose existence makes every worker drain."""
    return run_dir / "draining"


def main() -> None:
    """Begin to drain and wait: `python -m backend.platform.server.drain [seconds]`.

    Run before SIGTERM (Kubernetes' `preStop`); the seconds (default 10) are the time for
    load balancers to send requests elsewhere.
    """
    try:
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _MAX_SECONDS:
        raise SystemExit(f"drain: {sys.argv[1]!r} is no number of seconds from 0 to {_MAX_SECONDS}")
    try:
        file = drain_marker_path(Path(read_variables(("run_dir",)).get("run_dir", DEFAULT_RUN_DIR)))
        file.touch()
    except ConfigurationError as error:
        raise SystemExit(f"drain: {error}") from None
    except OSError as error:
        raise SystemExit(f"drain: {file} cannot be written ({error.strerror}); is RUN_DIR right?") from None
    time.sleep(seconds)


if __name__ == "__main__":
    main()
