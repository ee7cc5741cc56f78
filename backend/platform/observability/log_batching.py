"""Writes the lines of one turn of the event loop together: a system call costs more than to make a line."""

import asyncio
from collections.abc import Callable
from select import PIPE_BUF

__all__ = ["BatchedLogWriter"]


class BatchedLogWriter:
    """Lines that wait for the end of the event loop's turn, when the answers that they tell of are sent.

    Args:
        write: Writes bytes and the end of a line in one system call.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, line: bytes) -> None:
        """Write a line by the end of this turn; to be called while the event loop runs."""
        # Workers share a pipe, which keeps so many bytes in one piece and would mix more with another's (POSIX write).
        if self._size + len(line) >= PIPE_BUF:
            self.flush()
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(line)
        self._size += len(line) + 1

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            self._write(b"\n".join(lines))
