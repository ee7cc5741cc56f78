"""Tokens signed with the shared secret: accepted ones, and those that python-jose alone would accept."""

import time
from pathlib import Path
from typing import Any

import pytest

from backend.config import Settings
from backend.platform.auth.principal import Principal
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken, SigningKeysUnavailable
from tests.support.tokens import claims, hs256

SECRET = "a shared secret of more than thirty-two characters"
NOW = int(time.time())


def verifier(secret: str = SECRET, **settings: Any) -> TokenVerifier:
    return TokenVerifier(Settings(better_auth_secret=secret, **settings))


async def test_valid_token_identifies_its_user() -> None:
    assert await verifier().verify(hs256(SECRET)) == Principal("user-1")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_the_types_of_access_tokens_are_accepted(typ: str | None) -> None:
    assert await verifier().verify(hs256(SECRET, header={"alg": "HS256", "typ": typ}))


@pytest.mark.parametrize("aud", ["https://app.example.com", ["a", "b"], 5])
async def test_any_audience_and_issuer_is_accepted_if_none_is_configured(aud: object) -> None:
    assert await verifier().verify(hs256(SECRET, claims(aud=aud, iss="https://app.example.com")))


HEADERS: dict[str, Any] = {
    "brackets that exhaust the stack": b"[" * 5000,
    "braces that exhaust the stack": b'{"a":' * 1000,
    "a list": ["HS256"],
    "a text": "HS256",
    "not JSON": b"HS256",
    "not UTF-8": b'{"alg":"HS256","a":"\xff"}',
    "no algorithm": {"typ": "JWT"},
    "no signature": {"alg": "none"},
    "no signature, in another spelling": {"alg": "nOnE"},
    "a part of the algorithm's name": {"alg": "S256"},
    "a list of algorithms": {"alg": ["HS256"]},
    "a map as algorithm": {"alg": {"HS256": 1}},
    "another hash": {"alg": "HS512"},
    "an asymmetric algorithm": {"alg": "ES256", "kid": "x"},
    "an algorithm that we register": {"alg": "EdDSA", "kid": "x"},
    "an extension to be understood": {"alg": "HS256", "crit": ["b64"], "b64": False},
    "an empty list of extensions": {"alg": "HS256", "crit": []},
    "a cached session": {"alg": "HS256", "typ": "better-auth.session-cache+jwt"},
    "a type that is no text": {"alg": "HS256", "typ": ["JWT"]},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_invalid_header_is_rejected_despite_a_valid_signature(header: Any) -> None:
    with pytest.raises(InvalidToken):
        await verifier().verify(hs256(SECRET, header=header))


PAYLOADS: dict[str, Any] = {
    "not JSON": b"sub",
    "not UTF-8": b'{"sub":"\xff"}',
    "a list": [],
    "brackets that exhaust the stack": b"[" * 5000,
    "no expiry": claims(exp=...),
    "expiry null": claims(exp=None),
    "expiry a list": claims(exp=[NOW + 900]),
    "expiry a text": claims(exp=str(NOW + 900)),
    "expiry true": claims(exp=True),
    "expiry infinite": claims(exp=float("inf")),
    "expiry not a number": claims(exp=float("nan")),
    "expired": claims(exp=NOW - 1),
    "issued null": claims(iat=None),
    "issued a text": claims(iat=str(NOW)),
    "issued in a year": claims(iat=NOW + 365 * 86400, exp=NOW + 366 * 86400),
    "good in an hour": claims(nbf=NOW + 3600, exp=NOW + 7200),
    "good from a text": claims(nbf=str(NOW)),
    "identifier a number": claims(jti=1),
    "no subject, as in the links of e-mails": claims(sub=..., userId="user-1", updateTo="b@example.com"),
    "no subject, as in a cached session": claims(
        sub=..., session={"userId": "user-1"}, user={"id": "user-1"}
    ),
    "no subject but an id": claims(sub=..., id="user-1"),
    "subject null": claims(sub=None),
    "subject empty": claims(sub=""),
    "subject a number": claims(sub=1),
    "subject a list": claims(sub=["user-1"]),
    "subject with NUL": claims(sub="user\0"),
    "subject with a line break": claims(sub="user\n1"),
    "subject with half a character": claims(sub="user\ud800"),
    "subject too long": claims(sub="u" * 256),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
async def test_invalid_claims_are_rejected_despite_a_valid_signature(payload: Any) -> None:
    with pytest.raises(InvalidToken):
        await verifier(token_leeway_seconds=0).verify(hs256(SECRET, payload))


async def test_token_is_expired_at_the_second_of_exp() -> None:
    with pytest.raises(InvalidToken):
        await verifier(token_leeway_seconds=0).verify(hs256(SECRET, claims(exp=int(time.time()))))


@pytest.mark.parametrize(("claim", "seconds_from_now"), [("exp", -5), ("iat", 20), ("nbf", 20)])
async def test_clock_skew_within_the_leeway_is_accepted(claim: str, seconds_from_now: int) -> None:
    token = hs256(SECRET, claims(**{claim: int(time.time()) + seconds_from_now}))
    assert await verifier(token_leeway_seconds=60).verify(token)
    with pytest.raises(InvalidToken):
        await verifier(token_leeway_seconds=0).verify(token)


GOOD = hs256(SECRET)
TEXTS = {
    "empty": "",
    "one part": "a",
    "a session token": "txEKzmkAF45Qi1rWBw3gro2SjCmvTrKM",
    "a session cookie": "txEKzmkAF45Qi1rWBw3gro2SjCmvTrKM.q7XkT%2Bx1nB0nH%2Fv4x0o%3D",
    "dots": "..",
    "unsigned": GOOD.rpartition(".")[0] + ".",
    "four parts": GOOD + ".a",
    "five parts, as if encrypted": GOOD + ".a.b",
    "two tokens": f"{GOOD},{GOOD}",
    "a space in front": " " + GOOD,
    "a line break behind": GOOD + "\n",
    "padding": GOOD + "=",
    "junk in the signature": GOOD[:-5] + "!!" + GOOD[-5:],
    "not ASCII": GOOD + "é",
    "not ASCII but a digit": GOOD + "٣",
    "another signature": GOOD[:-20] + "A" * 20,
    "longer than 8 KiB": hs256(SECRET, claims(note="x" * 7000)),
}


@pytest.mark.parametrize("token", TEXTS.values(), ids=TEXTS)
async def test_malformed_token_is_rejected(token: str) -> None:
    with pytest.raises(InvalidToken) as raised:
        await verifier().verify(token)
    assert len(token) < 10 or token not in str(raised.value)


@pytest.mark.parametrize("secret", ["", "another secret of more than thirty-two characters"])
async def test_token_signed_with_another_secret_is_rejected(secret: str) -> None:
    with pytest.raises(InvalidToken):
        await verifier().verify(hs256(secret))


@pytest.mark.parametrize(
    "secret", ['"' + "s" * 40 + '"', '["' + "s" * 40 + '"]', '{"keys":["' + "s" * 40 + '"]}']
)
async def test_secret_that_looks_like_json_is_used_verbatim(secret: str) -> None:
    assert await verifier(secret).verify(hs256(secret))
    with pytest.raises(InvalidToken):
        await verifier(secret).verify(hs256("s" * 40))


async def test_one_of_several_issuers_and_audiences_must_match() -> None:
    strict = verifier(better_auth_issuers="https://a,https://b", better_auth_audiences="https://a,https://b")
    for aud in ("https://a", ["https://z", "https://b"]):
        assert await strict.verify(hs256(SECRET, claims(iss="https://b", aud=aud)))


@pytest.mark.parametrize(
    ("iss", "aud"),
    [
        (..., "https://a"),
        ("https://a", ...),
        ("https://z", "https://a"),
        ("https://a/", "https://a"),
        (["https://a"], "https://a"),
        ("https://a", "https://z"),
        ("https://a", []),
        ("https://a", [["https://a"]]),
        ("https://a", {"https://a": 1}),
        ("https://a", 1),
    ],
)
async def test_another_issuer_or_audience_is_rejected(iss: Any, aud: Any) -> None:
    strict = verifier(better_auth_issuers="https://a", better_auth_audiences="https://a")
    with pytest.raises(InvalidToken):
        await strict.verify(hs256(SECRET, claims(iss=iss, aud=aud)))


async def test_subject_may_contain_any_script() -> None:
    subject = "می\u200cرم 👩\u200d🚀\u00a0Ω"
    assert await verifier().verify(hs256(SECRET, claims(sub=subject))) == Principal(subject)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


async def test_a_rotated_secret_file_is_read_again(secret_file: Path) -> None:
    rotating = TokenVerifier(Settings(better_auth_secret_file=secret_file))
    assert await rotating.verify(hs256(SECRET))
    _replace(secret_file, new := "the next secret of more than thirty-two characters")
    assert await rotating.verify(hs256(new))
    with pytest.raises(InvalidToken):
        await rotating.verify(hs256(SECRET))


@pytest.mark.parametrize("text", [None, "", "short", "-----BEGIN PUBLIC KEY-----\n" * 3, b"\xff" * 40])
async def test_last_valid_secret_is_kept_while_its_file_is_invalid(
    secret_file: Path, text: str | bytes | None
) -> None:
    rotating = TokenVerifier(Settings(better_auth_secret_file=secret_file))
    assert await rotating.verify(hs256(SECRET))
    _replace(secret_file, text)
    assert await rotating.verify(hs256(SECRET))
    with pytest.raises(InvalidToken):
        await rotating.verify(hs256(text or ""))


@pytest.mark.parametrize("text", [None, ""])
async def test_without_a_valid_secret_every_token_is_rejected(secret_file: Path, text: str | None) -> None:
    rotating = TokenVerifier(Settings(better_auth_secret_file=secret_file))
    _replace(secret_file, text)
    with pytest.raises(SigningKeysUnavailable):
        await rotating.verify(hs256(""))


def _replace(file: Path, text: str | bytes | None) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
