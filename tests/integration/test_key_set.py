"""The key set over time: rotation, outages, invalid responses, floods of forged key ids."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backend.config import Settings
from backend.platform.auth import jwks_cache as keys_module
from backend.platform.auth.jwks_cache import JWKSCache
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken, SigningKeysUnavailable
from tests.support.jwks_server import JwksServer, running_jwks_server
from tests.support.tokens import KeyPair, claims, key_pair
from tests.support.waiting import poll_until, scaled, timeout

OLD, NEW = key_pair("EdDSA"), key_pair("EdDSA")


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with running_jwks_server(OLD) as running:
        yield running


@pytest.fixture
async def verifier(server: JwksServer) -> AsyncIterator[TokenVerifier]:
    verifier = _verifier(server)
    yield verifier
    await verifier.stop()


def _verifier(server: JwksServer, **settings: Any) -> TokenVerifier:
    fast: dict[str, Any] = {"jwks_timeout_seconds": scaled(0.3), "jwks_refresh_seconds": 1}
    return TokenVerifier(Settings(better_auth_url=server.url, **(fast | settings)))


def _keys(verifier: TokenVerifier) -> JWKSCache:
    assert verifier.jwks is not None
    return verifier.jwks


def _token(server: JwksServer, pair: KeyPair, **header: Any) -> str:
    return pair.token(claims(iss=server.url, aud=server.url), **header)


async def test_known_keys_remain_valid_during_an_outage(verifier: TokenVerifier, server: JwksServer) -> None:
    await verifier.start()
    await verifier.verify(_token(server, OLD))
    await server.go()
    with pytest.raises(InvalidToken):
        await verifier.verify(_token(server, NEW))
    await poll_until(lambda: _keys(verifier).failed_refreshes >= 2)
    assert await verifier.verify(_token(server, OLD))
    server.publish(OLD, NEW)
    await server.come()
    await poll_until(lambda: NEW.key_id in _keys(verifier)._keys)
    assert await verifier.verify(_token(server, NEW))


# tests/unit/platform/auth/test_jwks_cache.py has the other bodies.
BAD_ANSWERS: dict[str, Callable[[JwksServer], None]] = {
    "an error": lambda server: server.answer(b'{"keys":[]}', status=500),
    "a redirect": lambda server: server.answer(b"", status=302, headers=f"Location: {server.url}/there\r\n"),
    "deep brackets": lambda server: server.answer(b"[" * 200_000),
    "compressed": lambda server: server.answer(
        gzip.compress(b'{"keys":[]}'), headers="Content-Encoding: gzip\r\n"
    ),
    "a body that is too large": lambda server: server.answer(b'{"keys":[]}' + b" " * 1024 * 1024),
    "a body without end": JwksServer.flood,
    "an answer that never ends": JwksServer.hang,
    "an answer that drips": JwksServer.drip,
}


@pytest.mark.parametrize("be_bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_invalid_response_keeps_the_current_keys(
    verifier: TokenVerifier, server: JwksServer, be_bad: Callable[[JwksServer], None]
) -> None:
    be_bad(server)
    with pytest.raises(SigningKeysUnavailable):
        await verifier.verify(_token(server, OLD))
    server.publish(OLD)
    assert await verifier.verify(_token(server, OLD))
    be_bad(server)
    with pytest.raises(InvalidToken):
        await verifier.verify(_token(server, NEW))
    assert await verifier.verify(_token(server, OLD))
    assert (server.fetches, _keys(verifier).failed_refreshes) == (3, 2)


async def test_forged_key_ids_neither_overload_the_key_server_nor_delay_a_new_key(
    verifier: TokenVerifier, server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "_BUCKET_REFILL_SECONDS", 0.5)
    await verifier.verify(_token(server, OLD))
    flooding = True

    async def flood() -> None:
        number = 0
        while flooding:
            number += 1
            with pytest.raises(InvalidToken):
                await verifier.verify(_token(server, OLD, kid=f"made-up-{number}"))
            await asyncio.sleep(0.001)

    async with timeout(10), asyncio.TaskGroup() as group:
        begun = time.monotonic()
        for _ in range(4):
            group.create_task(flood())
        await poll_until(lambda: server.fetches >= 5)
        server.publish(OLD, NEW)
        await poll_until(lambda: NEW.key_id in _keys(verifier)._keys)
        await verifier.verify(_token(server, NEW))
        waited = time.monotonic() - begun
        flooding = False
    # The bucket's five, and one in half a second from then on.
    assert server.fetches <= 5 + waited / 0.5 + 1


async def test_stop_during_a_fetch_leaves_no_task_running(server: JwksServer) -> None:
    server.hang()
    verifier = _verifier(server, jwks_timeout_seconds=60)
    ours = {"refresh-key-set", "fetch-key-set"}
    await verifier.start()
    await server.asked.wait()
    assert ours <= {task.get_name() for task in asyncio.all_tasks()}
    await verifier.stop()
    assert not ours & {task.get_name() for task in asyncio.all_tasks()}
    assert _keys(verifier)._client._client.is_closed
