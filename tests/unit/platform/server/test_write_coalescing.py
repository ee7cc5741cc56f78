"""What is written in one turn leaves in one piece, and nothing is lost at the end."""

import asyncio
from unittest.mock import Mock

import pytest

from backend.platform.server.write_coalescing import CoalescingTransport


@pytest.fixture
def below() -> Mock:
    """The transport beneath, which notes what it is asked."""
    return Mock(spec=asyncio.Transport)


async def test_head_and_body_leave_together(below: Mock) -> None:
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"head ")
    transport.write(b"body")
    below.write.assert_not_called()
    await asyncio.sleep(0)
    below.write.assert_called_once_with(b"head body")


async def test_closing_sends_what_waits_first(below: Mock) -> None:
    below.is_closing.return_value = False
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.lingers = False
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert [(call[0], call[1]) for call in below.method_calls] == [("write", (b"last words",)), ("close", ())]


async def test_closing_in_stages_reads_on(below: Mock) -> None:
    below.is_closing.return_value = False
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"last words")
    transport.close()
    below.write.assert_called_once_with(b"last words")
    below.write_eof.assert_called_once()
    below.close.assert_not_called()
    assert transport.is_closing()


async def test_aborting_sends_nothing(below: Mock) -> None:
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"never sent")
    transport.abort()
    await asyncio.sleep(0)
    below.write.assert_not_called()
    below.abort.assert_called_once()


async def test_a_large_answer_does_not_wait(below: Mock) -> None:
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    for _ in range(3):
        transport.write(b"x" * 50_000)
    assert [len(call.args[0]) for call in below.write.call_args_list] == [100_000]
    await asyncio.sleep(0)
    assert [len(call.args[0]) for call in below.write.call_args_list] == [100_000, 50_000]
