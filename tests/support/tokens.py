"""Keys of every algorithm, and tokens: good ones, and ones that no library would make."""

import base64
import functools
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = [
    "ALGORITHMS",
    "KeyPair",
    "base64url",
    "claims",
    "compact",
    "hs256",
    "key_pair",
    "shared_key_pair",
]

ALGORITHMS = ("EdDSA", "ES256", "ES512", "RS256", "PS256")

type Sign = Callable[[bytes], bytes]


def base64url(data: bytes) -> str:
    """Encode as tokens do, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token; a change to `...` takes a claim away."""
    now = int(time.time())
    good = {"sub": "user-1", "email": "u@example.com", "name": "U", "iat": now, "exp": now + 3600}
    return {name: value for name, value in (good | changes).items() if value is not ...}


def compact(header: Any, payload: Any, sign: Sign) -> str:
    """Put a token together (RFC 7515 §7.1); bytes are taken as they are, all else becomes JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = ".".join(map(base64url, parts))
    return f"{signing_input}.{base64url(sign(signing_input.encode()))}"


def hs256(secret: str | bytes, payload: Any = None, header: Any = None) -> str:
    """Return a token signed with a shared secret, by the hash that its header names if it names one."""
    key = secret.encode() if isinstance(secret, str) else secret
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    algorithm = header.get("alg") if isinstance(header, dict) else None
    digest = {"HS384": "sha384", "HS512": "sha512"}.get(str(algorithm), "sha256")
    payload = claims() if payload is None else payload
    return compact(header, payload, lambda data: hmac.digest(key, data, digest))


@dataclass(frozen=True)
class KeyPair:
    """A key of a frontend: signs tokens, and is published without its private part."""

    algorithm: str
    key_id: str
    sign: Sign
    public: Any
    parts: Mapping[str, str]

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """Return the public key as a key set lists it; a change to `...` takes a member away."""
        members = {"alg": self.algorithm, "kid": self.key_id, **self.parts} | changes
        return {name: value for name, value in members.items() if value is not ...}

    def token(self, payload: Any = None, **header: Any) -> str:
        """Return a token; a header member set to `...` is taken away."""
        names = {"alg": self.algorithm, "kid": self.key_id} | header
        names = {name: value for name, value in names.items() if value is not ...}
        return compact(names, claims() if payload is None else payload, self.sign)

    def bytes(self, encoding: Encoding) -> bytes:
        """Return the public key as a file has it."""
        encoded: bytes = self.public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        return encoded


def key_pair(algorithm: str) -> KeyPair:
    """Make a new key."""
    sign, public, parts = _MAKERS[algorithm]()
    return KeyPair(algorithm, uuid4().hex, sign, public, parts)


# Making an RSA key takes a tenth of a second.
shared_key_pair = functools.cache(key_pair)


def _number(value: int, length: int | None = None) -> str:
    return base64url(value.to_bytes(length or (value.bit_length() + 7) // 8))


def _ed25519() -> tuple[Sign, Any, dict[str, str]]:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key()
    return private.sign, public, {"kty": "OKP", "crv": "Ed25519", "x": base64url(public.public_bytes_raw())}


def _elliptic(curve: ec.EllipticCurve, name: str, digest: HashAlgorithm) -> tuple[Sign, Any, dict[str, str]]:
    private = ec.generate_private_key(curve)
    public, length = private.public_key(), (curve.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        return b"".join(
            part.to_bytes(length) for part in decode_dss_signature(private.sign(data, ec.ECDSA(digest)))
        )

    numbers = public.public_numbers()
    return (
        sign,
        public,
        {"kty": "EC", "crv": name, "x": _number(numbers.x, length), "y": _number(numbers.y, length)},
    )


def _rsa(padding: PSS | PKCS1v15) -> tuple[Sign, Any, dict[str, str]]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    numbers = public.public_numbers()
    return (
        lambda data: private.sign(data, padding, SHA256()),
        public,
        {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)},
    )


_MAKERS: Mapping[str, Callable[[], tuple[Sign, Any, dict[str, str]]]] = {
    "EdDSA": _ed25519,
    "ES256": lambda: _elliptic(ec.SECP256R1(), "P-256", SHA256()),
    "ES512": lambda: _elliptic(ec.SECP521R1(), "P-521", SHA512()),
    "RS256": lambda: _rsa(PKCS1v15()),
    "PS256": lambda: _rsa(PSS(MGF1(SHA256()), SHA256.digest_size)),
}
