"""A service whose key server does not respond."""

import httpx

from tests.support.jwks_server import running_jwks_server
from tests.support.service import running_service, service_settings
from tests.support.tokens import claims, shared_key_pair
from tests.support.waiting import scaled


async def test_without_any_key_callers_are_told_to_come_again(shared_database_url: str) -> None:
    pair = shared_key_pair("EdDSA")
    async with running_jwks_server(pair) as server:
        await server.go()
        settings = service_settings(shared_database_url, better_auth_secret=None, better_auth_url=server.url)
        token = pair.token(claims(iss=server.url, aud=server.url))
        async with (
            running_service(settings) as service,
            httpx.AsyncClient(
                base_url=service.url, headers={"Authorization": f"Bearer {token}"}, timeout=scaled(5)
            ) as client,
        ):
            away = await client.get("/api/user-1/tasks")
            assert (away.status_code, away.json()["title"]) == (503, "Signing keys unavailable")
            assert int(away.headers["Retry-After"]) > 0
            await server.come()
            assert (await client.get("/api/user-1/tasks")).status_code == 200
