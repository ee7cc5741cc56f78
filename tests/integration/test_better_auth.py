"""Tokens and tables of a real Better Auth, in both modes."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from jose import jwt

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from tests.support.better_auth import SECRET, BetterAuth, SignedUp, better_auth
from tests.support.service import RunningService, running_service, service_settings
from tests.support.waiting import scaled

pytestmark = pytest.mark.timeout(180)


@contextlib.asynccontextmanager
async def frontend_and_service(
    database_url: str, algorithm: str, **options: Any
) -> AsyncIterator[tuple[BetterAuth, RunningService]]:
    async with better_auth(database_url, algorithm=algorithm, **options) as frontend:
        await migrate(database_url, SCHEMA)
        mode: dict[str, Any] = {"better_auth_secret": SECRET}
        if algorithm != "HS256":
            mode = {"better_auth_secret": None, "better_auth_url": f"{frontend.url}/"}
        async with running_service(service_settings(database_url, **mode)) as service:
            yield frontend, service


async def call(
    service: RunningService, user: SignedUp, token: str, method: str = "GET", path: str = "", **options: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=scaled(10)) as client:
        return await client.request(method, f"/api/{user.id}/tasks{path}", **options)


async def assert_alembic_finds_nothing_to_change(database_url: str) -> None:
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", "check"),
        cwd=Path(__file__).parents[2],
        env=os.environ | {"DATABASE_URL": database_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate()
    assert check.returncode == 0, said.decode()


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "ES512", "RS256", "PS256", "HS256"])
async def test_token_of_the_frontend_is_accepted(empty_database_url: str, algorithm: str) -> None:
    """Better Auth migrates first here."""
    async with frontend_and_service(empty_database_url, algorithm) as (frontend, service):
        ada, bob = await frontend.sign_up("Ada"), await frontend.sign_up("Bob")
        token = await frontend.token(ada)
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        created = await call(service, ada, token, "POST", json={"title": "Buy milk"})
        assert (created.status_code, created.json()["user_id"]) == (201, ada.id)
        assert (await call(service, ada, token)).json()["tasks"] == [created.json()]
        assert (await call(service, bob, token)).status_code == 403
        foreign = await call(service, bob, await frontend.token(bob), path=f"/{created.json()['id']}")
        assert foreign.status_code == 404
        # What clients mistake for a token: the session's own, and its cookie.
        for other in (ada.session_token, ada.cookie, token[:-4] + "AAAA", token + "."):
            assert (await call(service, ada, other)).status_code == 401
        # What is signed with the same key or secret, but for something else.
        for purpose, other in (("session", ada.cached_session), ("email", ada.mailed)):
            assert purpose in jwt.get_unverified_claims(other)
            assert (await call(service, ada, other)).status_code == 401


async def test_tables_made_by_the_service_first(database_url: str) -> None:
    async with frontend_and_service(database_url, "EdDSA") as (frontend, service):
        ada = await frontend.sign_up("Ada")
        token = await frontend.token(ada)
        assert (await call(service, ada, token, "POST", json={"title": "Buy milk"})).status_code == 201
        # "Delete my account" takes the tasks along, and needs nothing of the service.
        await frontend.delete(ada)
        assert (await call(service, ada, token)).json()["tasks"] == []
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT count(*) FROM tasks") == 0
        await connection.close()
        await assert_alembic_finds_nothing_to_change(database_url)


async def test_tables_made_by_the_frontend_first(empty_database_url: str) -> None:
    async with better_auth(empty_database_url, algorithm="EdDSA"):
        await migrate(empty_database_url, SCHEMA)
        await assert_alembic_finds_nothing_to_change(empty_database_url)


async def test_rotated_keys(empty_database_url: str) -> None:
    async with frontend_and_service(empty_database_url, "EdDSA", rotation_seconds=1) as (frontend, service):
        ada = await frontend.sign_up("Ada")
        tokens = []
        for age_of_key in (0, 1.1, 1.1):
            await asyncio.sleep(age_of_key)
            tokens.append(await frontend.token(ada))
            assert (await call(service, ada, tokens[-1])).status_code == 200
        key_ids = {jwt.get_unverified_header(token)["kid"] for token in tokens}
        assert len(key_ids) == 3
        for token in tokens:  # the old keys stay good for the tokens that they signed
            assert (await call(service, ada, token)).status_code == 200
