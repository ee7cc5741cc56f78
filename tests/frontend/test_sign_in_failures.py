"""Configuration faults that make sign-in fail, and their correction as docs/operations.md has it."""

import re
from pathlib import Path

import asyncpg
import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from tests.integration.test_grants import execute, login_role
from tests.support.database import Server
from tests.support.frontend import PASSWORD, free_port, run_frontend, running_frontend
from tests.support.waiting import poll_until

pytestmark = pytest.mark.timeout(240)

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


async def test_a_replaced_secret_is_corrected_by_new_keys(database_url: str) -> None:
    port = free_port()
    async with running_frontend(database_url, port=port) as frontend, frontend.sign_up() as ada:
        assert await frontend.stop() == 0
        settings = {"BETTER_AUTH_SECRET": "n" * 40}
        async with running_frontend(database_url, port=port, migrated=False, **settings) as replaced:
            body = {"email": ada.email, "password": PASSWORD}
            assert (await ada.post("sign-in/email", body)).status_code == 200
            assert (await ada.client.get("/api/auth/token")).status_code == 500
            assert await poll_until(
                lambda: [each for each in replaced.logs if "Failed to decrypt private key" in str(each)]
            )
            (correction,) = re.findall(r"let new keys be made: `([^`]+)`", PAGE)
            await execute(database_url, correction)
            assert (await ada.client.get("/api/auth/token")).status_code == 200


async def test_another_origin_than_the_public_url_is_rejected_by_name(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.client() as client:
        client.headers["Origin"] = frontend.url.replace("127.0.0.1", "localhost")
        body = {"email": "ada@example.com", "password": PASSWORD}
        answer = await client.post("/api/auth/sign-in/email", json=body)
        assert answer.status_code == 403
        assert f"| 403, `{answer.json()['message']}` |" in PAGE


async def test_clients_behind_an_unknown_proxy_share_one_rate_limit(database_url: str) -> None:
    async with running_frontend(database_url, TRUSTED_PROXIES="10.0.0.0/8") as frontend:
        statuses = []
        for number in range(4):
            async with frontend.client(f"203.0.113.{number}") as client:
                body = {"email": "unknown@example.com", "password": "a wrong password"}
                statuses.append((await client.post("/api/auth/sign-in/email", json=body)).status_code)
        assert statuses == [401, 401, 401, 429]


async def test_a_role_of_its_own_needs_only_the_documented_privileges(
    migrated_server: tuple[Server, str], empty_database_url: str
) -> None:
    section = PAGE.partition("\n## Frontend\n")[2].partition("\n## ")[0]
    (grants,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    code, output, errors = await run_frontend(empty_database_url, "migrate")
    assert code == 0, output + errors
    await migrate(empty_database_url, SCHEMA)
    async with login_role(migrated_server[0], empty_database_url) as (name, url):
        await execute(empty_database_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await execute(empty_database_url, grants.replace("frontend_role", name))
        async with running_frontend(url, migrated=False) as frontend, frontend.sign_up() as ada:
            assert (await frontend.probe("/readyz")).status_code == 200
            assert (await ada.client.get("/api/auth/token")).status_code == 200
            await execute(empty_database_url, f"INSERT INTO tasks (user_id, title) VALUES ('{ada.id}', 'T')")  # noqa: S608 - made by Better Auth
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await execute(url, "SELECT title FROM tasks")
            assert (await ada.post("delete-user", {"password": PASSWORD})).status_code == 200
        connection = await asyncpg.connect(empty_database_url)
        assert await connection.fetchval("SELECT count(*) FROM tasks") == 0
        await connection.close()
