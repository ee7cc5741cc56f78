"""Lines are written together, whole, and soon."""

import asyncio
from select import PIPE_BUF

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.platform.observability.log_batching import BatchedLogWriter


async def test_the_lines_of_a_turn_are_written_at_once() -> None:
    written: list[bytes] = []
    lines = BatchedLogWriter(written.append)
    lines.write(b"one")
    lines.write(b"two")
    assert written == []
    await asyncio.sleep(0)
    lines.write(b"three")
    await asyncio.sleep(0)
    assert written == [b"one\ntwo", b"three"]


@given(st.lists(st.integers(min_value=1, max_value=2 * PIPE_BUF), max_size=40))
def test_what_is_joined_stays_in_one_piece_in_a_pipe(sizes: list[int]) -> None:
    written: list[bytes] = []

    async def write() -> None:
        lines = BatchedLogWriter(written.append)
        for number, size in enumerate(sizes):
            lines.write(b"%c" % (97 + number % 26) * size)

    asyncio.run(write())
    assert [len(line) for part in written for line in part.split(b"\n")] == sizes
    # With the end of its last line.
    assert all(len(part) + 1 <= PIPE_BUF for part in written if b"\n" in part)


async def test_lines_go_on_after_one_could_not_be_written() -> None:
    written: list[bytes] = []
    fails = [True]

    def write(lines: bytes) -> None:
        if fails.pop():
            raise BlockingIOError
        written.append(lines)

    lines = BatchedLogWriter(write)
    lines.write(b"lost")
    with pytest.raises(BlockingIOError):
        lines.flush()
    fails.append(False)
    lines.write(b"next")
    await asyncio.sleep(0)
    assert written == [b"next"]
