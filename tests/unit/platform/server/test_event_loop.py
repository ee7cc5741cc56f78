"""The event loop's exception handler: it ignores name lookups that nothing waits for, and no other error."""

import asyncio
import logging
import socket

import pytest

from backend.platform.server.event_loop import install_exception_handler


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [(socket.gaierror(-2, "unknown"), False), (OSError("other"), True), (None, True)],
)
async def test_only_an_orphaned_name_lookup_is_ignored(
    caplog: pytest.LogCaptureFixture, error: Exception | None, *, is_logged: bool
) -> None:
    install_exception_handler()
    context = {"message": "Future exception was never retrieved"} | ({"exception": error} if error else {})
    with caplog.at_level(logging.ERROR):
        asyncio.get_running_loop().call_exception_handler(context)
    assert bool(caplog.records) == is_logged
