"""Signature algorithms of Better Auth that python-jose lacks, and which algorithm a key is for."""

from collections.abc import Mapping
from typing import Any, Final, override

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JOSEError, JWKError
from jose.utils import base64url_decode

__all__ = ["ASYMMETRIC", "HEADER_ALIASES", "algorithm_of", "public_key"]

ASYMMETRIC: Final = frozenset({"EdDSA", "ES256", "ES512", "RS256", "PS256"})
"""What Better Auth can be told to sign with. Never in one list with HS256 (CVE-2024-33663)."""

HEADER_ALIASES: Final = {"Ed25519": "EdDSA"}
"""RFC 9864 names the curve; older tokens name the family."""

_BY_SHAPE: Final[dict[tuple[Any, Any], str]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("EC", "P-521"): "ES512",
    ("RSA", None): "RS256",
}
_RSA_MIN_BITS: Final = 2048


class Ed25519Key(Key):
    """A public key of EdDSA (RFC 8037)."""

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        if key.get("kty") != "OKP" or key.get("crv") != "Ed25519":
            raise JWKError("not an Ed25519 key")
        self._key = Ed25519PublicKey.from_public_bytes(base64url_decode(key["x"].encode()))

    @override
    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature is this key's."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class RsaPssKey(Key):
    """A public key of PS256 (RFC 7518 §3.5)."""

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        rsa_key: Any = jwk.construct({**key, "alg": "RS256"}, "RS256")
        self._key = rsa_key.prepared_key

    @override
    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature is this key's."""
        digest = SHA256()
        try:
            self._key.verify(signature, message, PSS(MGF1(digest), digest.digest_size), digest)
        except InvalidSignature:
            return False
        return True


jwk.register_key("EdDSA", Ed25519Key)
jwk.register_key("PS256", RsaPssKey)


def algorithm_of(key: Mapping[str, Any]) -> str | None:
    """Return the algorithm that a key of a key set is for, None where it is none of ours.

    Better Auth before 1.3 left `alg` out; then kind and curve tell.
    """
    shape = (key.get("kty"), key.get("crv") if key.get("kty") != "RSA" else None)
    algorithm = key.get("alg") or _BY_SHAPE.get(shape)
    algorithm = HEADER_ALIASES.get(algorithm, algorithm) if isinstance(algorithm, str) else None
    return algorithm if algorithm in ASYMMETRIC else None


def public_key(key: Mapping[str, Any], algorithm: str) -> Key:
    """Build the key once, since that takes a fifth of a verification's time.

    Raises:
        JWKError: It is no such key, or a short one.
    """
    try:
        built: Key = jwk.construct(dict(key), algorithm)
    except (JOSEError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JWKError("unusable key") from error
    prepared = getattr(built, "prepared_key", None)
    if key.get("kty") == "RSA" and prepared is not None and prepared.key_size < _RSA_MIN_BITS:
        raise JWKError("an RSA key needs 2048 bits")
    return built
