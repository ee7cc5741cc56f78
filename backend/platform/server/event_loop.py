"""The event loop's exception handler: ignores a spurious error of uvloop."""

import asyncio
import socket
from typing import Any

__all__ = ["install_exception_handler"]


def install_exception_handler() -> None:
    """Make the running loop ignore a DNS lookup that fails after its connection attempt was cancelled.

    uvloop does not cancel such a lookup, and logs its `gaierror` as never retrieved.
    """
    asyncio.get_running_loop().set_exception_handler(_ignore_orphaned_dns_errors)


def _ignore_orphaned_dns_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), socket.gaierror):
        loop.default_exception_handler(context)
