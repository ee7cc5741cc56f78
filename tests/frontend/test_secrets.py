"""Rotation of the frontend's secrets, as docs/operations.md describes it: without a restart and without a sign-out."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.database import Server
from tests.support.frontend import SECRET, Account, Frontend, free_port, run_frontend, running_frontend
from tests.support.waiting import poll_until

pytestmark = pytest.mark.timeout(240)

NEW = "another-secret-of-the-frontend-with-32-or-more-characters"


async def private_key(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        return str(await connection.fetchval('SELECT "privateKey" FROM jwks'))
    finally:
        await connection.close()


async def write(frontend: Frontend, file: Path, text: str) -> None:
    """Replace a file as kubelet does, and wait until the server has read it."""
    count = len([each for each in frontend.logs if each["event"] == "settings read again"])
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)
    await poll_until(
        lambda: len([each for each in frontend.logs if each["event"] == "settings read again"]) > count, 30
    )


async def is_signed_in(user: Account) -> bool:
    boot = await user.boot()
    token = await user.client.get("/api/auth/token")
    return boot["user"] is not None and token.status_code == 200


async def test_a_secret_is_replaced_without_a_restart_and_without_signing_anyone_out(
    database_url: str, tmp_path: Path
) -> None:
    file, port = tmp_path / "secrets", free_port()
    file.write_text(f"1:{SECRET}")
    settings: dict[str, Any] = {"BETTER_AUTH_SECRETS_FILE": str(file)}

    # Before the rotation there is one secret, without a version.
    async with running_frontend(database_url, port=port) as unversioned, unversioned.sign_up() as ada:
        before = await private_key(database_url)
        keys = (await ada.client.get("/api/auth/jwks")).json()["keys"]
        assert await unversioned.stop() == 0
        async with running_frontend(database_url, port=port, **settings) as frontend:
            # Pods without versions read it until they are replaced.
            assert await private_key(database_url) == before
            assert await is_signed_in(ada)
            for text in (f"1:{SECRET},2:{NEW}", f"2:{NEW},1:{SECRET}"):
                await write(frontend, file, text)
                assert await is_signed_in(ada)
            async with frontend.sign_up("Bob", "198.51.100.2") as bob:
                code, output, errors = await run_frontend(database_url, "migrate", port=port, **settings)
                assert code == 0, output + errors
                assert await private_key(database_url) != before
                assert await is_signed_in(ada)
                # The end of the rotation: the sessions of the earlier secret have expired or are signed again.
                await write(frontend, file, f"2:{NEW}")
                assert await is_signed_in(bob)
                assert (await ada.boot())["user"] is None
                assert (await bob.client.get("/api/auth/jwks")).json()["keys"] == keys


async def test_a_refreshed_session_is_signed_with_the_newest_secret(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"1:{SECRET}")
    settings: dict[str, Any] = {"BETTER_AUTH_SECRETS_FILE": str(file), "BETTER_AUTH_SECRET": ""}
    async with running_frontend(database_url, **settings) as frontend, frontend.sign_up() as ada:
        await write(frontend, file, f"2:{NEW},1:{SECRET}")
        connection = await asyncpg.connect(database_url)
        # As if the last refresh were more than a day ago.
        await connection.execute("""UPDATE session SET "expiresAt" = "expiresAt" - interval '2 days'""")
        await connection.close()
        assert await is_signed_in(ada)
        code, output, errors = await run_frontend(database_url, "migrate", **settings)
        assert code == 0, output + errors
        await write(frontend, file, f"2:{NEW}")
        assert await is_signed_in(ada)


async def test_an_invalid_file_keeps_the_current_secrets(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    settings: dict[str, Any] = {"BETTER_AUTH_SECRET_FILE": str(file)}
    async with running_frontend(database_url, **settings) as frontend, frontend.sign_up() as ada:
        file.write_text("short")
        await poll_until(
            lambda: any(each["event"] == "settings not read again" for each in frontend.logs), 30
        )
        assert "at least 32 characters" in frontend.logs[-1]["message"]
        assert await is_signed_in(ada)


async def test_a_new_database_password_needs_no_restart(
    database_url: str, migrated_server: tuple[Server, str], tmp_path: Path
) -> None:
    server, role = migrated_server[0], "frontend_of_rotation"
    file = tmp_path / "url"
    file.write_text(database_url)
    async with running_frontend(database_url, DATABASE_URL_FILE=str(file)) as frontend:
        await server.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'next'")
        try:
            host = database_url.rpartition("@")[2]
            await write(frontend, file, f"postgresql://{role}:next@{host}")
            await server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'task-service-frontend'"
            )
            async with frontend.sign_up() as ada:
                assert await is_signed_in(ada)
            connection = await asyncpg.connect(database_url)
            users = await connection.fetch(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'task-service-frontend'"
                " AND datname = current_database()"
            )
            await connection.close()
            assert [each["usename"] for each in users] == [role]
        finally:
            await frontend.stop()
            await server.execute(f"DROP ROLE {role}")
