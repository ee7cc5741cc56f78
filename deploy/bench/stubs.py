"""Stubs of the systems around the service: a frontend with a JWKS, an OTLP collector, and tokens."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jose import jwt

from deploy.bench.database import USERS

__all__ = ["Stubs", "run_stubs"]

_KEY_ID = "bench"


@dataclass(frozen=True)
class Stubs:
    """The stubs of frontend and collector, on one port.

    Attributes:
        url: URL of both.
        secret: Secret of the HS256 tokens.
    """

    url: str
    secret: str
    _key: Ed25519PrivateKey

    def tokens(self, kind: str) -> list[str]:
        """Return a token for each user, which is valid for a day.

        Args:
            kind: HS256 or EdDSA.
        """
        return [self._token(kind, f"user-{number}") for number in range(1, USERS + 1)]

    def _token(self, kind: str, user: str) -> str:
        now = int(time.time())
        claims = {"sub": user, "email": f"{user}@example.com", "name": "User", "iat": now, "exp": now + 86400}
        if kind == "HS256":
            return jwt.encode(claims, self.secret, algorithm="HS256")
        header = {"alg": "EdDSA", "kid": _KEY_ID}
        claims |= {"iss": self.url, "aud": self.url}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}"

    def key_set(self) -> bytes:
        """Return the JWKS (RFC 7517)."""
        public = _base64url(self._key.public_key().public_bytes_raw())
        key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": _KEY_ID, "x": public}
        return json.dumps({"keys": [key]}).encode()


@contextlib.asynccontextmanager
async def run_stubs(secret: str) -> AsyncIterator[Stubs]:
    """Run the stubs until the block ends."""
    key = Ed25519PrivateKey.generate()
    stubs: Stubs

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while headers := await reader.readuntil(b"\r\n\r\n"):
                length = headers.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                body = stubs.key_set() if headers.startswith(b"GET") else b""
                media_type = b"application/json" if body else b"application/x-protobuf"
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
                    % (media_type, len(body), body)
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    stubs = Stubs(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", secret, key)
    try:
        yield stubs
    finally:
        server.close()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
