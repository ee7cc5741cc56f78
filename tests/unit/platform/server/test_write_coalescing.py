"""Writes of one iteration of the event loop leave together, and the transport passes on all other calls."""

import asyncio
from typing import Any
from unittest.mock import Mock, call

import pytest

from backend.platform.server.transport import LingeringTransport
from backend.platform.server.write_coalescing import CoalescingTransport, wrap_transport
from tests.support.fast_paths import set_fast_paths


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
    assert [(each[0], each[1]) for each in below.method_calls] == [("write", (b"last words",)), ("close", ())]


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
    assert [len(each.args[0]) for each in below.write.call_args_list] == [100_000]
    await asyncio.sleep(0)
    assert [len(each.args[0]) for each in below.write.call_args_list] == [100_000, 50_000]


async def test_the_end_of_writing_comes_after_what_was_written(below: Mock) -> None:
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.writelines([b"last ", b"words"])
    below.get_write_buffer_size.return_value = 5
    assert transport.get_write_buffer_size() == 5 + len(b"last words")
    transport.write_eof()
    assert below.method_calls[-2:] == [call.write(b"last words"), call.write_eof()]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_extra_info", ("peername", None)),
        ("get_protocol", ()),
        ("set_protocol", (asyncio.Protocol(),)),
        ("is_reading", ()),
        ("pause_reading", ()),
        ("resume_reading", ()),
        ("can_write_eof", ()),
        ("get_write_buffer_limits", ()),
        ("set_write_buffer_limits", (4, 2)),
        ("a_method_of_uvloop", (1,)),
    ],
)
@pytest.mark.parametrize("kind", [LingeringTransport, CoalescingTransport])
async def test_other_calls_reach_the_transport(
    kind: type[LingeringTransport], name: str, arguments: tuple[Any, ...]
) -> None:
    below = Mock()
    transport = kind(below, asyncio.get_running_loop())
    result = getattr(transport, name)(*arguments)
    getattr(below, name).assert_called_once_with(*arguments)
    if not name.startswith(("set_", "pause_", "resume_")):
        assert result is getattr(below, name).return_value


def test_no_method_of_a_transport_is_forgotten() -> None:
    methods = {name for name in dir(asyncio.Transport) if not name.startswith("_")}
    assert methods <= vars(LingeringTransport).keys()


async def test_writes_go_out_at_once_while_the_accelerator_is_off(
    below: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_fast_paths(monkeypatch)
    transport = wrap_transport(below, asyncio.get_running_loop())
    transport.write(b"head ")
    below.write.assert_called_once_with(b"head ")
