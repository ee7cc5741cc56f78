"""The signature algorithms that a key set may name, those that python-jose lacks included."""

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
"""RFC 9864 names the curve; Better Auth names the family."""

# What Better Auth can be told to sign with, by kind and curve of the key; the first where a key names none.
# Never HS256, whatever a key set says: then a public key would do as the secret (CVE-2024-33663).
_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}
_RSA_MIN_BITS: Final = 2048
# All else is left behind: given a private part, python-jose would verify with it, or fail to.
_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")


class SigningKey(NamedTuple):
    """A key, and the one algorithm that it is for."""

    algorithm: str
    key: Key


class Ed25519Key(Key):
    """A public key of EdDSA (RFC 8037).

    Args:
        key: The JWK.
        algorithm: EdDSA.
    """

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
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
    """A public key of PS256 (RFC 7518 §3.5).

    Args:
        key: The JWK.
        algorithm: PS256.
    """

    def __init__(self, key: Mapping[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        self.prepared_key: Any = _construct(key, "RS256").prepared_key

    @override
    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature is this key's."""
        digest = SHA256()
        try:
            self.prepared_key.verify(signature, message, PSS(MGF1(digest), digest.digest_size), digest)
        except InvalidSignature:
            return False
        return True


jwk.register_key("EdDSA", Ed25519Key)
jwk.register_key("PS256", RsaPssKey)


def signing_key(key: Mapping[str, Any]) -> SigningKey:
    """Build a key once, rather than a fifth of each verification's time.

    Args:
        key: A public JWK (RFC 7517). Its `alg` may be missing, as with Better Auth before 1.3.

    Raises:
        JWKError: It is no key of an algorithm of ours, or a short one.
    """
    kind, curve = key.get("kty"), key.get("crv")
    algorithms = next((names for shape, names in _ALGORITHMS.items() if shape == (kind, curve)), ())
    name = key.get("alg") or next(iter(algorithms), None)
    algorithm = HEADER_ALIASES.get(name, name) if isinstance(name, str) else None
    if algorithm is None or algorithm not in algorithms:
        raise JWKError("not an algorithm of ours")
    members = {member: key[member] for member in _MEMBERS if key.get(member) is not None}
    # Of a number, python-jose would make as many bytes.
    if not all(isinstance(value, str) for value in members.values()):
        raise JWKError("a member is no text")
    try:
        built = _construct(members, algorithm)
    except (JOSEError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JWKError("unusable key") from error
    if kind == "RSA" and built.prepared_key.key_size < _RSA_MIN_BITS:
        raise JWKError("an RSA key needs 2048 bits (RFC 7518 §3.3)")
    return SigningKey(algorithm, built)


def _construct(key: Mapping[str, Any], algorithm: str) -> Any:
    return jwk.construct(dict(key), algorithm)
