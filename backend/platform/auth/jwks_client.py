"""Fetches a key set over HTTP, within limits of time and size, and reads it."""

import asyncio
import contextlib
import json
from typing import Any, Final

import httpx
from jose.exceptions import JWKError

from backend.platform.auth.algorithms import SigningKey, signing_key
from backend.platform.auth.proxies import find_proxy
from backend.platform.errors import ConfigurationError
from backend.platform.settings.types import mask_url

__all__ = ["JWKSClient", "JWKSFetchError"]

# A key an hour, kept for the 30 days of Better Auth's grace period, is some 300 KiB.
_MAX_BYTES: Final = 1024 * 1024


class JWKSFetchError(Exception):
    """The key set cannot be fetched or read; the text says why."""


class JWKSClient:
    """One JWKS address (RFC 7517).

    Args:
        url: Where the key set is.
        timeout_seconds: Longest fetch, from connecting to the last byte.

    Raises:
        ConfigurationError: The URL, the environment's proxy for it or its root certificates cannot be used.

    Attributes:
        name: Host and port, for the log.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        try:
            self._url = httpx.URL(url)
            proxy = find_proxy(self._url)
            # SSL_CERT_FILE and SSL_CERT_DIR are read here.
            certificates = httpx.create_ssl_context()
        except httpx.InvalidURL as error:
            raise ConfigurationError(
                f"the address of the key set cannot be used: {mask_url(str(error))}"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE cannot be used ({error.strerror or error})"
            ) from None
        # Not the whole: user, path or query may hold a secret.
        self.name = self._url.netloc.decode()
        self._timeout_seconds = timeout_seconds
        # Making a client reads all root certificates (some 20 ms), so it is made once; connections
        # are not kept, since minutes lie between two fetches.
        self._client = httpx.AsyncClient(
            # A redirect would let whoever can make the frontend redirect choose our keys.
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
            verify=certificates,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
            # Uncompressed, so that the limit is one on memory too.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def fetch(self) -> dict[str, SigningKey]:
        """Return the usable keys by their ids.

        Raises:
            JWKSFetchError: No answer in time, another status than 200, or no key set.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return _parse(await self._download())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise JWKSFetchError(mask_url(str(error)) or type(error).__name__) from error

    async def aclose(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > _MAX_BYTES:
                    raise ValueError("the key set is too large")
            return bytes(body)


def _parse(body: bytes) -> dict[str, SigningKey]:
    """Read a key set, passing over keys that are not ours to use (RFC 7517 §5).

    Raises:
        ValueError: It is no key set, or has keys but no usable one: more likely a mistake than a
            wish to retire all keys, which an empty list is.
    """
    try:
        listed = json.loads(body)["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("not a key set") from None
    if not isinstance(listed, list):
        raise ValueError("not a key set")  # noqa: TRY004 - the server's fault, not the caller's
    keys: dict[str, SigningKey] = {}
    for each in listed:
        if isinstance(key_id := _key_id(each), str):
            with contextlib.suppress(JWKError):
                keys[key_id] = signing_key(each)
    if listed and not keys:
        raise ValueError("the key set has no usable key")
    return keys


def _key_id(key: Any) -> Any:
    return key.get("kid") if isinstance(key, dict) and key.get("use", "sig") == "sig" else None
