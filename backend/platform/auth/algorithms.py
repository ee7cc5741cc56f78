"""Signature algorithms that a key set may use, including EdDSA and PS256, which python-jose lacks."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, override

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JOSEError, JWKError
from jose.utils import base64url_decode

__all__ = ["HEADER_ALIASES", "Ed25519Key", "RsaPssKey", "SigningKey", "signing_key"]

HEADER_ALIASES: Final = {"Ed25519": "EdDSA"}
"""Fully specified algorithm names of RFC 9864 and the polymorphic names that Better Auth uses."""

# Algorithms that Better Auth can sign with, by key type and curve. A key without `alg` gets the first one.
# HS256 is never accepted from a key set: a public key would serve as the secret (CVE-2024-33663).
_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}
_RSA_MIN_BITS: Final = 2048
# Other members are dropped: python-jose would verify with a private key, or fail.
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")


class SigningKey(NamedTuple):
    """A key and the only algorithm that it may verify."""

    algorithm: str
    key: Key


class Ed25519Key(Key):
    """A public Ed25519 key for EdDSA (RFC 8037).

    Args:
        key: The JWK.
        algorithm: `EdDSA`.
    """

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        self._key = Ed25519PublicKey.from_public_bytes(base64url_decode(key["x"].encode()))

    @override
    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether the signature was made with this key."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class RsaPssKey(Key):
    """A public RSA key for PS256 (RFC 7518 §3.5).

    Args:
        key: The JWK.
        algorithm: `PS256`.
    """

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        self.prepared_key: Any = _construct(key, "RS256").prepared_key

    @override
    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether the signature was made with this key."""
        digest = SHA256()
        try:
            self.prepared_key.verify(signature, message, PSS(MGF1(digest), digest.digest_size), digest)
        except InvalidSignature:
            return False
        return True


jwk.register_key("EdDSA", Ed25519Key)
jwk.register_key("PS256", RsaPssKey)


def signing_key(key: Mapping[str, Any]) -> SigningKey:
    """Build a verification key from a JWK.

    Keys are built once per fetch: building takes a fifth of the time of a verification.

    Args:
        key: A public JWK (RFC 7517). `alg` may be absent, as with Better Auth before 1.3.

    Raises:
        JWKError: The algorithm is not supported, or the key is malformed or too short.
    """
    key_type, curve = key.get("kty"), key.get("crv")
    algorithms = next((names for shape, names in _ALGORITHMS.items() if shape == (key_type, curve)), ())
    name = key.get("alg") or next(iter(algorithms), None)
    algorithm = HEADER_ALIASES.get(name, name) if isinstance(name, str) else None
    if algorithm is None or algorithm not in algorithms:
        raise JWKError("unsupported algorithm")
    members = {member: key[member] for member in _PUBLIC_MEMBERS if key.get(member) is not None}
    # python-jose would convert a number n to n bytes.
    if not all(isinstance(value, str) for value in members.values()):
        raise JWKError("a member is not a string")
    try:
        constructed = _construct(members, algorithm)
    except (JOSEError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JWKError("unusable key") from error
    if key_type == "RSA" and constructed.prepared_key.key_size < _RSA_MIN_BITS:
        raise JWKError("an RSA key needs at least 2048 bits (RFC 7518 §3.3)")
    return SigningKey(algorithm, constructed)


def _construct(key: Mapping[str, Any], algorithm: str) -> Any:
    return jwk.construct(dict(key), algorithm)
