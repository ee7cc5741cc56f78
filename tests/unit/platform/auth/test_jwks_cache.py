"""The key set over time, without a socket: rotation, outages, invalid responses, forged key ids."""

import asyncio
import json
import time
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from backend.config import Settings
from backend.platform.auth import jwks_cache
from backend.platform.auth.jwks_cache import JWKSCache
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken, SigningKeysUnavailable
from backend.platform.observability.metrics import REGISTRY
from tests.support.mock_jwks import MockJwksServer
from tests.support.tokens import KeyPair, claims, key_pair
from tests.support.virtual_time import in_virtual_time

OLD, NEW = key_pair("EdDSA"), key_pair("EdDSA")
REFRESH_SECONDS = 100


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MockJwksServer:
    server = MockJwksServer(OLD)
    server.install(monkeypatch)
    return server


@pytest.fixture
def verifier(server: MockJwksServer) -> TokenVerifier:
    return TokenVerifier(Settings(better_auth_url=server.url, jwks_refresh_seconds=REFRESH_SECONDS))


def token(pair: KeyPair, **header: Any) -> str:
    return pair.token(claims(iss=MockJwksServer.url, aud=MockJwksServer.url), **header)


def cache_of(verifier: TokenVerifier) -> JWKSCache:
    assert verifier.jwks is not None
    return verifier.jwks


async def is_valid(verifier: TokenVerifier, pair: KeyPair, **header: Any) -> bool:
    try:
        await verifier.verify(token(pair, **header))
    except InvalidToken:
        return False
    return True


async def test_a_new_key_is_fetched_when_its_first_token_comes(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    assert await is_valid(verifier, OLD)
    server.publish(OLD, NEW)
    assert await is_valid(verifier, NEW)
    assert await is_valid(verifier, OLD)
    assert server.fetches == 2


@in_virtual_time
async def test_retired_key_is_removed_by_the_next_refresh(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    await verifier.start()
    assert await is_valid(verifier, OLD)
    server.publish(NEW)
    await asyncio.sleep(REFRESH_SECONDS - 1)
    assert (await is_valid(verifier, OLD), server.fetches) == (True, 1)
    await asyncio.sleep(2)
    assert (await is_valid(verifier, NEW), server.fetches) == (True, 2)
    assert not await is_valid(verifier, OLD)
    await verifier.stop()


async def test_an_empty_key_set_retires_all_keys(verifier: TokenVerifier, server: MockJwksServer) -> None:
    assert await is_valid(verifier, OLD)
    server.publish()
    assert not await is_valid(verifier, NEW)
    assert not await is_valid(verifier, OLD)


async def test_a_revoked_key_makes_cached_tokens_invalid(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    cached = token(OLD)
    await verifier.verify(cached)
    server.publish(NEW)
    await verifier.verify(token(NEW))  # its unknown key causes a fetch
    with pytest.raises(InvalidToken):
        await verifier.verify(cached)


async def test_a_hundred_concurrent_first_requests_cause_one_fetch(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    server.may_respond.clear()
    requests = [asyncio.create_task(verifier.verify(token(OLD))) for _ in range(100)]
    await asyncio.sleep(0)
    server.may_respond.set()
    assert {principal.user_id for principal in await asyncio.gather(*requests)} == {"user-1"}
    assert server.fetches == 1


async def test_disconnected_client_does_not_cancel_the_shared_fetch(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    server.may_respond.clear()
    first, second = (asyncio.create_task(verifier.verify(token(OLD))) for _ in range(2))
    await server.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.may_respond.set()
    assert (await second).user_id == "user-1"
    assert server.fetches == 1


@in_virtual_time
async def test_unreachable_server_is_asked_again_until_it_responds(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    server.error = httpx.ConnectError("refused")
    await verifier.start()
    with pytest.raises(SigningKeysUnavailable):
        await verifier.verify(token(OLD))
    assert cache_of(verifier).last_success is None
    server.error = None
    before = server.fetches
    await asyncio.sleep(jwks_cache._RETRY_SECONDS + 1)  # much sooner than the next refresh
    assert server.fetches == before + 1
    assert await is_valid(verifier, OLD)
    await verifier.stop()


@in_virtual_time
async def test_known_keys_stay_valid_during_an_outage(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    await verifier.start()
    assert await is_valid(verifier, OLD)
    server.error = httpx.ReadTimeout("late")
    await asyncio.sleep(REFRESH_SECONDS + 5 * jwks_cache._RETRY_SECONDS)
    assert cache_of(verifier).failed_refreshes >= 5
    assert await is_valid(verifier, OLD)
    assert not await is_valid(verifier, NEW)
    await verifier.stop()


INVALID = {
    "an error": (b'{"keys":[]}', 500),
    "not found": (b'{"keys":[]}', 404),
    "a redirect": (b"", 302),
    "no body": (b"", 200),
    "a web page": (b"<html>", 200),
    "a text": (b'"keys"', 200),
    "a list": (b"[]", 200),
    "null": (b"null", 200),
    "no keys": (b"{}", 200),
    "keys that are no list": (b'{"keys": {}}', 200),
    "no usable key": (json.dumps({"keys": [OLD.jwk(alg="HS256")]}).encode(), 200),
    "a key for encryption": (json.dumps({"keys": [OLD.jwk(use="enc")]}).encode(), 200),
    "a key id that is no text": (json.dumps({"keys": [OLD.jwk(kid=1)]}).encode(), 200),
    "deep brackets": (b"[" * 200_000, 200),
    "not UTF-8": (b'{"keys": "\xff"}', 200),
    "a body that is too large": (b'{"keys":[]}' + b" " * 1024 * 1024, 200),
}


@pytest.mark.parametrize(("body", "status"), INVALID.values(), ids=INVALID)
async def test_invalid_response_keeps_the_current_keys(
    verifier: TokenVerifier, server: MockJwksServer, body: bytes, status: int
) -> None:
    server.answer(body, status=status)
    with pytest.raises(SigningKeysUnavailable):
        await verifier.verify(token(OLD))
    server.publish(OLD)
    assert await is_valid(verifier, OLD)
    server.answer(body, status=status)
    assert not await is_valid(verifier, NEW)
    assert await is_valid(verifier, OLD)
    assert (server.fetches, cache_of(verifier).failed_refreshes) == (3, 2)


async def test_unsupported_keys_beside_a_supported_one_are_skipped(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    server.publish({"kty": "oct", "kid": "a", "k": "AAAA"}, NEW.jwk(kid=...), NEW.jwk(use="enc"), OLD)
    assert await is_valid(verifier, OLD)
    assert list(cache_of(verifier).keys) == [OLD.key_id]


async def test_forged_key_ids_cause_few_fetches_and_do_not_lock_out_a_new_key(
    verifier: TokenVerifier, server: MockJwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    # Not `time.monotonic` itself: it is the clock of the event loop, which other tasks use.
    monkeypatch.setattr(jwks_cache, "time", Mock(wraps=time, monotonic=lambda: now))
    for number in range(100):
        assert not await is_valid(verifier, OLD, kid=f"made-up-{number}")
    assert server.fetches == jwks_cache._BUCKET_SIZE
    server.publish(OLD, NEW)
    assert not await is_valid(verifier, NEW)
    now += jwks_cache._BUCKET_REFILL_SECONDS
    assert await is_valid(verifier, NEW)
    now += 1000 * jwks_cache._BUCKET_REFILL_SECONDS  # an idle time does not enlarge the burst
    for number in range(100):
        assert not await is_valid(verifier, OLD, kid=f"made-up-again-{number}")
    assert server.fetches == 2 * jwks_cache._BUCKET_SIZE + 1


async def test_fetches_are_counted_by_outcome_and_the_last_success_has_its_time(
    verifier: TokenVerifier, server: MockJwksServer
) -> None:
    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("auth_key_set_refreshes_total", {"outcome": outcome}) or 0.0

    def last_success() -> float:
        return REGISTRY.get_sample_value("auth_key_set_last_success_timestamp_seconds") or 0.0

    succeeded, failed = counted("success"), counted("failure")
    begun = time.time()
    assert await is_valid(verifier, OLD)
    noted = last_success()
    assert begun <= noted <= time.time()
    server.error = httpx.ConnectError("refused")
    assert not await is_valid(verifier, NEW)
    assert (counted("success") - succeeded, counted("failure") - failed) == (1, 1)
    assert last_success() == noted


async def test_stop_during_a_fetch_leaves_no_task(verifier: TokenVerifier, server: MockJwksServer) -> None:
    server.may_respond.clear()
    await verifier.start()
    await server.asked.wait()
    await verifier.stop()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"refresh-key-set", "fetch-key-set"}
