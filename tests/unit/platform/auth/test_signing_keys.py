"""Tokens verified with the keys of a key set in memory: algorithms, confusion of keys, issuers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from backend.config import Settings
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken
from tests.support.mock_jwks import MockJwksServer
from tests.support.tokens import ALGORITHMS, claims, hs256, key_pair, shared_key_pair


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MockJwksServer:
    server = MockJwksServer(*map(shared_key_pair, ALGORITHMS))
    server.install(monkeypatch)
    return server


@pytest.fixture
async def verifier(server: MockJwksServer) -> AsyncIterator[TokenVerifier]:
    verifier = _verifier(server)
    yield verifier
    await verifier.stop()


def _verifier(server: MockJwksServer, **settings: Any) -> TokenVerifier:
    return TokenVerifier(Settings(**{"better_auth_url": server.url} | settings))


def _claims(server: MockJwksServer, **changes: Any) -> dict[str, Any]:
    return claims(**{"iss": server.url, "aud": server.url} | changes)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_each_algorithm_is_accepted(
    verifier: TokenVerifier, server: MockJwksServer, algorithm: str
) -> None:
    token = shared_key_pair(algorithm).token(_claims(server))
    assert (await verifier.verify(token)).user_id == "user-1"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_another_key_is_refused(
    verifier: TokenVerifier, server: MockJwksServer, algorithm: str
) -> None:
    stranger, known = key_pair(algorithm), shared_key_pair(algorithm).key_id
    for key_id in (stranger.key_id, known, shared_key_pair("ES256").key_id, ..., None, "", 5, [known]):
        with pytest.raises(InvalidToken):
            await verifier.verify(stranger.token(_claims(server), kid=key_id))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_token_does_not_choose_the_key_it_is_verified_with(
    verifier: TokenVerifier, server: MockJwksServer, algorithm: str
) -> None:
    stranger = key_pair(algorithm)
    with pytest.raises(InvalidToken):
        await verifier.verify(
            stranger.token(
                _claims(server),
                kid=shared_key_pair(algorithm).key_id,
                jwk=stranger.jwk(),
                jku="http://127.0.0.1:1/",
            )
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claimed", ["HS256", "none", "RS512", "ES384", *ALGORITHMS])
async def test_the_algorithm_is_the_keys_not_the_tokens(
    verifier: TokenVerifier, server: MockJwksServer, algorithm: str, claimed: str
) -> None:
    token = shared_key_pair(algorithm).token(_claims(server), alg=claimed)
    if claimed == algorithm:
        assert await verifier.verify(token)
    else:
        with pytest.raises(InvalidToken):
            await verifier.verify(token)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
async def test_a_public_key_is_no_shared_secret(
    verifier: TokenVerifier, server: MockJwksServer, algorithm: str, encoding: Encoding
) -> None:
    pair = shared_key_pair(algorithm)
    for secret in (pair.bytes(encoding), json.dumps(pair.jwk()).encode()):
        for claimed in ("HS256", algorithm):
            forged = hs256(secret, _claims(server), {"alg": claimed, "kid": pair.key_id})
            with pytest.raises(InvalidToken):
                await verifier.verify(forged)


async def test_the_shared_secret_is_not_used_beside_a_key_set(server: MockJwksServer) -> None:
    secret = "a shared secret of more than thirty-two characters"
    verifier = _verifier(server, better_auth_secret=secret)
    with pytest.raises(InvalidToken):
        await verifier.verify(hs256(secret, _claims(server), {"alg": "HS256", "kid": "x"}))
    await verifier.stop()


async def test_the_newer_name_of_the_algorithm_is_accepted(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    assert await verifier.verify(shared_key_pair("EdDSA").token(_claims(server), alg="Ed25519"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ...},
        {"iss": "https://elsewhere.example"},
        {"aud": ...},
        {"aud": "https://elsewhere.example"},
        {"aud": "better-auth:session-cache"},
        {"sub": ...},
    ],
    ids=str,
)
async def test_a_token_for_or_of_somebody_else_is_refused(
    verifier: TokenVerifier, server: MockJwksServer, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(shared_key_pair("EdDSA").token(_claims(server, **changes)))


async def test_a_cached_session_is_refused_though_its_key_is_ours(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    pair = shared_key_pair("EdDSA")
    with pytest.raises(InvalidToken):
        await verifier.verify(pair.token(_claims(server), typ="better-auth.session-cache+jwt"))


async def test_several_issuers_and_audiences_are_accepted(server: MockJwksServer) -> None:
    verifier = _verifier(
        server,
        better_auth_issuers="https://a.example,https://b.example",
        better_auth_audiences="https://api.example,https://old.example",
    )
    pair = shared_key_pair("EdDSA")
    for issuer in ("https://a.example", "https://b.example"):
        assert await verifier.verify(pair.token(claims(iss=issuer, aud=["x", "https://old.example"])))
    with pytest.raises(InvalidToken):
        await verifier.verify(pair.token(_claims(server)))
    await verifier.stop()


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/api/auth/jwks"),
        ("/", "/api/auth/jwks"),
        ("/api/auth", "/api/auth/jwks"),
        ("/api/auth/", "/api/auth/jwks"),
        ("/base/auth?x=1", "/base/auth/jwks"),
    ],
)
async def test_the_address_of_the_frontend_is_read_as_the_frontend_reads_it(
    server: MockJwksServer, suffix: str, path: str
) -> None:
    verifier = _verifier(server, better_auth_url=server.url + suffix)
    assert await verifier.verify(shared_key_pair("EdDSA").token(_claims(server)))
    assert server.paths == [path]
    await verifier.stop()


async def test_the_key_set_may_be_elsewhere(server: MockJwksServer) -> None:
    verifier = _verifier(
        server,
        better_auth_url="https://App.example:443/api/auth",
        better_auth_jwks_url=f"{server.url}/keys.json",
    )
    token = shared_key_pair("EdDSA").token(claims(iss="https://app.example", aud="https://app.example"))
    assert await verifier.verify(token)
    assert server.paths == ["/keys.json"]
    await verifier.stop()


async def test_keys_that_are_not_for_us_do_not_spoil_the_set(server: MockJwksServer) -> None:
    good = shared_key_pair("ES256")
    junk: list[Any] = [
        None,
        5,
        {},
        {"kid": []},
        shared_key_pair("EdDSA").jwk(kid=...),
        shared_key_pair("EdDSA").jwk(kty=["OKP"]),
        shared_key_pair("RS256").jwk(alg="HS256"),
        shared_key_pair("PS256").jwk(use="enc"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
    ]
    server.publish(*junk, good)
    verifier = _verifier(server)
    assert await verifier.verify(good.token(_claims(server)))
    for refused in ("RS256", "PS256", "EdDSA"):
        with pytest.raises(InvalidToken):
            await verifier.verify(shared_key_pair(refused).token(_claims(server)))
    with pytest.raises(InvalidToken):
        await verifier.verify(hs256("secret", _claims(server), {"alg": "HS256", "kid": "shared"}))
    await verifier.stop()
