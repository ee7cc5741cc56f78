"""HTTP client that fetches a JSON Web Key Set (RFC 7517) with limits on time and size."""

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

# One key per hour during Better Auth's grace period of 30 days takes about 300 KiB.
_MAX_BYTES: Final = 1024 * 1024


class JWKSFetchError(Exception):
    """The key set cannot be fetched or parsed; the message states the cause."""


class JWKSClient:
    """Client of one JWKS endpoint.

    Args:
        url: URL of the key set.
        timeout_seconds: Time limit of a fetch, from connecting to the last byte.

    Raises:
        ConfigurationError: The URL, its proxy or the root certificates cannot be used.

    Attributes:
        name: Host and port for log messages.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        try:
            self._url = httpx.URL(url)
            proxy = find_proxy(self._url)
            # Reads SSL_CERT_FILE and SSL_CERT_DIR.
            certificates = httpx.create_ssl_context()
        except httpx.InvalidURL as error:
            raise ConfigurationError(
                f"the URL of the key set is invalid ({mask_url(str(error))});"
                " correct BETTER_AUTH_URL or BETTER_AUTH_JWKS_URL"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE cannot be used ({error.strerror or error});"
                " correct or unset it"
            ) from None
        # User, path and query may contain a secret.
        self.name = self._url.netloc.decode()
        self._timeout_seconds = timeout_seconds
        # Creating a client loads all root certificates (about 20 ms), so it is created once. Connections are not
        # kept alive because fetches are minutes apart.
        self._client = httpx.AsyncClient(
            # An open redirect in the frontend would let an attacker choose the keys.
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
            verify=certificates,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
            # Without compression the size limit also bounds memory.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def fetch(self) -> dict[str, SigningKey]:
        """Return the supported keys by key id.

        Raises:
            JWKSFetchError: Time-out, a status other than 200, or a body that is not a key set.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return _parse(await self._download())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise JWKSFetchError(mask_url(str(error)) or type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the HTTP client."""
        await self._client.aclose()

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError("the key set is too large")
            return bytes(body)


def _parse(body: bytes) -> dict[str, SigningKey]:
    """Parse a key set and skip unsupported keys (RFC 7517 §5). An empty list retires all keys.

    Raises:
        ValueError: The body is not a key set, or contains keys but no supported one, which indicates a mistake.
    """
    try:
        members = json.loads(body)["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("not a key set") from None
    if not isinstance(members, list):
        raise ValueError("not a key set")  # noqa: TRY004 - invalid data, not a wrong argument
    keys: dict[str, SigningKey] = {}
    for each in members:
        if isinstance(key_id := _signing_key_id(each), str):
            with contextlib.suppress(JWKError):
                keys[key_id] = signing_key(each)
    if members and not keys:
        raise ValueError("the key set has no supported key")
    return keys


def _signing_key_id(key: Any) -> Any:
    return key.get("kid") if isinstance(key, dict) and key.get("use", "sig") == "sig" else None
