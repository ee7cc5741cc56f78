"""A token is verified once, and its cache entry becomes invalid with the token or the key."""

import time
from pathlib import Path
from typing import Any

import pytest
from jose import jwt

from backend.config import Settings
from backend.platform.auth import token_cache as cache_module
from backend.platform.auth.principal import Principal
from backend.platform.auth.token_cache import TokenCache
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken
from tests.support.tokens import claims, hs256

SECRET, OTHER = "s" * 40, "o" * 40


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked."""
    checked: list[str] = []
    decode = jwt.decode

    def counting(token: str, *arguments: Any, **options: Any) -> Any:
        checked.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


async def test_a_signature_is_checked_once(verifications: list[str]) -> None:
    verifier, token = TokenVerifier(Settings(better_auth_secret=SECRET)), hs256(SECRET)
    assert [await verifier.verify(token) for _ in range(3)] == [Principal("user-1")] * 3
    assert verifications == [token]


async def test_rejected_token_is_not_cached(verifications: list[str]) -> None:
    verifier, token = TokenVerifier(Settings(better_auth_secret=SECRET)), hs256(OTHER)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await verifier.verify(token)
    assert verifications == [token, token]


async def test_another_signature_on_cached_claims_is_rejected() -> None:
    verifier, payload = TokenVerifier(Settings(better_auth_secret=SECRET)), claims()
    await verifier.verify(hs256(SECRET, payload))
    with pytest.raises(InvalidToken):
        await verifier.verify(hs256(OTHER, payload))


async def test_cached_token_expires_at_exp(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(better_auth_secret=SECRET, token_leeway_seconds=5)
    verifier, now = TokenVerifier(settings), int(time.time())
    token = hs256(SECRET, claims(exp=now + 60))
    await verifier.verify(token)
    monkeypatch.setattr(time, "time", lambda: now + 64.9)
    await verifier.verify(token)
    monkeypatch.setattr(time, "time", lambda: now + 65.0)
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_rotated_secret_invalidates_cached_tokens(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    verifier = TokenVerifier(Settings(better_auth_secret_file=file))
    await verifier.verify(hs256(SECRET))
    file.write_text(OTHER)
    with pytest.raises(InvalidToken):
        await verifier.verify(hs256(SECRET))


def test_the_oldest_goes_first_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 2)
    cache, keys, expires = TokenCache(), object(), time.time() + 60
    for name in ("a", "b", "c"):
        cache.put(name.encode(), keys, Principal(name), expires)
    assert [cache.get(name, keys) for name in (b"a", b"b", b"c")] == [None, Principal("b"), Principal("c")]
