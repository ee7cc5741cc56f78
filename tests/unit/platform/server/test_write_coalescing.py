"""CoalescingTransport sends the writes of one event-loop iteration together, and passes on all other calls."""

import asyncio
from typing import Any
from unittest.mock import Mock, call

import pytest

from backend.platform.server.transport import LingeringTransport
from backend.platform.server.write_coalescing import CoalescingTransport, wrap_transport
from tests.support.fast_paths import set_fast_paths


@pytest.fixture
def wrapped() -> Mock:
    """The wrapped transport, which records its calls."""
    return Mock(spec=asyncio.Transport)


async def test_headers_and_body_are_sent_together(wrapped: Mock) -> None:
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    transport.write(b"headers ")
    transport.write(b"body")
    wrapped.write.assert_not_called()
    await asyncio.sleep(0)
    wrapped.write.assert_called_once_with(b"headers body")


async def test_close_flushes_first(wrapped: Mock) -> None:
    wrapped.is_closing.return_value = False
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    transport.lingers = False
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert [(each[0], each[1]) for each in wrapped.method_calls] == [
        ("write", (b"last words",)),
        ("close", ()),
    ]


async def test_lingering_close_keeps_reading(wrapped: Mock) -> None:
    wrapped.is_closing.return_value = False
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    transport.write(b"last words")
    transport.close()
    wrapped.write.assert_called_once_with(b"last words")
    wrapped.write_eof.assert_called_once()
    wrapped.close.assert_not_called()
    assert transport.is_closing()


async def test_abort_sends_nothing(wrapped: Mock) -> None:
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    transport.write(b"never sent")
    transport.abort()
    await asyncio.sleep(0)
    wrapped.write.assert_not_called()
    wrapped.abort.assert_called_once()


async def test_a_large_response_is_flushed_at_once(wrapped: Mock) -> None:
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    for _ in range(3):
        transport.write(b"x" * 50_000)
    assert [len(each.args[0]) for each in wrapped.write.call_args_list] == [100_000]
    await asyncio.sleep(0)
    assert [len(each.args[0]) for each in wrapped.write.call_args_list] == [100_000, 50_000]


async def test_write_eof_flushes_first(wrapped: Mock) -> None:
    transport = CoalescingTransport(wrapped, asyncio.get_running_loop())
    transport.writelines([b"last ", b"words"])
    wrapped.get_write_buffer_size.return_value = 5
    assert transport.get_write_buffer_size() == 5 + len(b"last words")
    transport.write_eof()
    assert wrapped.method_calls[-2:] == [call.write(b"last words"), call.write_eof()]


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
    wrapped = Mock()
    transport = kind(wrapped, asyncio.get_running_loop())
    result = getattr(transport, name)(*arguments)
    getattr(wrapped, name).assert_called_once_with(*arguments)
    if not name.startswith(("set_", "pause_", "resume_")):
        assert result is getattr(wrapped, name).return_value


def test_every_method_of_a_transport_is_overridden() -> None:
    methods = {name for name in dir(asyncio.Transport) if not name.startswith("_")}
    assert methods <= vars(LingeringTransport).keys()


async def test_writes_are_sent_at_once_while_the_accelerator_is_off(
    wrapped: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_fast_paths(monkeypatch)
    transport = wrap_transport(wrapped, asyncio.get_running_loop())
    transport.write(b"headers ")
    wrapped.write.assert_called_once_with(b"headers ")
