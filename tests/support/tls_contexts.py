"""One TLS context for all HTTP clients of a process: the certificates of all authorities take 40 ms to read."""

import functools
import os
import ssl
from typing import Any

import httpx
from httpx._config import create_ssl_context
from httpx._transports import default

__all__ = ["share_tls_contexts"]


_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def share_tls_contexts() -> None:
    """Have httpx make a context once for the same arguments and the same variables that name certificates."""

    @functools.cache
    def made(_variables: tuple[str | None, ...], **arguments: Any) -> ssl.SSLContext:
        return create_ssl_context(**arguments)

    def shared(**arguments: Any) -> ssl.SSLContext:
        return made(tuple(map(os.environ.get, _VARIABLES)), **arguments)

    httpx.create_ssl_context = shared  # type: ignore[assignment]
    default.create_ssl_context = shared  # type: ignore[attr-defined, assignment]
