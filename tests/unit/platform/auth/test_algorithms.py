"""The keys of a key set that are used, and their algorithms."""

import contextlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jose.exceptions import JWKError

from backend.platform.auth.algorithms import signing_key
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
def test_key_without_alg_gets_the_algorithm_of_its_type_and_curve(algorithm: str, inferred: str) -> None:
    assert signing_key(shared_key_pair(algorithm).jwk(alg=...)).algorithm == inferred


def test_fully_specified_algorithm_name_is_accepted() -> None:
    assert signing_key(shared_key_pair("EdDSA").jwk(alg="Ed25519")).algorithm == "EdDSA"


CHANGES: list[tuple[str, dict[str, Any]]] = [
    # Otherwise any client could sign: the public key is not secret.
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
    ("RS256", {"e": ...}),
    ("RS256", {"e": True}),
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
def test_unsupported_key_is_rejected(algorithm: str, change: dict[str, Any]) -> None:
    with pytest.raises(JWKError):
        signing_key(shared_key_pair(algorithm).jwk(**change))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_private_members_of_a_published_key_are_ignored(algorithm: str) -> None:
    pair = shared_key_pair(algorithm)
    built = signing_key(pair.jwk(d="AQAB"))
    assert built.key.verify(b"message", pair.sign(b"message"))


@pytest.mark.parametrize(("algorithm", "member"), [("RS256", "n"), ("RS256", "e"), ("ES256", "x")])
def test_number_in_a_key_allocates_no_memory(algorithm: str, member: str) -> None:
    key = shared_key_pair(algorithm).jwk(**{member: 20_000_000})
    tracemalloc.start()
    with pytest.raises(JWKError):
        signing_key(key)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


TEXTS = st.text() | st.binary(max_size=300).map(base64url)
VALUES = TEXTS | st.none() | st.booleans() | st.floats() | st.integers(0, 999) | st.lists(TEXTS, max_size=2)
MEMBERS = ["alg", "kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "k"]


@given(st.sampled_from(ALGORITHMS), st.dictionaries(st.sampled_from(MEMBERS), VALUES, min_size=1, max_size=4))
@settings(deadline=None)
def test_arbitrary_key_is_rejected_or_verifies(algorithm: str, change: dict[str, Any]) -> None:
    pair = shared_key_pair(algorithm)
    with contextlib.suppress(JWKError):
        built = signing_key({**pair.jwk(), **change})
        assert not built.key.verify(b"massage", pair.sign(b"message"))
