"""Which keys of a key set are used, and for which algorithm."""

from typing import Any

import pytest
from jose.exceptions import JWKError

from backend.auth.algorithms import signing_key
from tests.support.tokens import ALGORITHMS, base64url, shared_key_pair

SHORT_MODULUS = base64url(b"\xff" * 128)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_verifies_its_own_signatures_only(algorithm: str) -> None:
    pair = shared_key_pair(algorithm)
    built = signing_key(pair.jwk())
    assert built.algorithm == algorithm
    signature = pair.sign(b"message")
    assert built.key.verify(b"message", signature)
    assert not built.key.verify(b"massage", signature)
    for spoilt in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        assert not built.key.verify(b"message", spoilt)


@pytest.mark.parametrize(
    ("algorithm", "inferred"),
    [("EdDSA", "EdDSA"), ("ES256", "ES256"), ("ES512", "ES512"), ("RS256", "RS256"), ("PS256", "RS256")],
)
def test_a_key_without_an_algorithm_is_told_by_its_shape(algorithm: str, inferred: str) -> None:
    assert signing_key(shared_key_pair(algorithm).jwk(alg=...)).algorithm == inferred


def test_the_newer_name_of_the_algorithm_is_known() -> None:
    assert signing_key(shared_key_pair("EdDSA").jwk(alg="Ed25519")).algorithm == "EdDSA"


CHANGES: list[tuple[str, dict[str, Any]]] = [
    # Then anybody could sign: the public key is no secret.
    ("RS256", {"alg": "HS256"}),
    ("RS256", {"alg": "HS256", "kty": "oct", "k": "c2VjcmV0"}),
    ("RS256", {"alg": "none"}),
    ("RS256", {"alg": "RS512"}),
    ("RS256", {"alg": ["RS256"]}),
    ("RS256", {"alg": "ES256"}),
    ("RS256", {"alg": ..., "kty": "oct", "k": "c2VjcmV0"}),
    ("RS256", {"kty": ["RSA"]}),
    ("RS256", {"kty": ...}),
    ("RS256", {"n": ...}),
    ("RS256", {"n": 5}),
    ("RS256", {"n": "AQAB"}),
    ("RS256", {"n": SHORT_MODULUS}),
    ("PS256", {"n": SHORT_MODULUS}),
    ("ES256", {"alg": "ES512"}),
    ("ES256", {"crv": "P-384"}),
    ("ES256", {"crv": ["P-256"]}),
    ("ES256", {"alg": ..., "crv": "secp256k1"}),
    ("ES256", {"y": "AQAB"}),
    ("EdDSA", {"crv": "X25519"}),
    ("EdDSA", {"crv": "Ed448"}),
    ("EdDSA", {"x": "AQAB"}),
    ("EdDSA", {"x": None}),
]


@pytest.mark.parametrize(("algorithm", "change"), CHANGES, ids=str)
def test_a_key_that_is_not_for_us_is_refused(algorithm: str, change: dict[str, Any]) -> None:
    with pytest.raises(JWKError):
        signing_key(shared_key_pair(algorithm).jwk(**change))
