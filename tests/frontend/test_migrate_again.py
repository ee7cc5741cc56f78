"""The container `migrate-again` of the chart's trial: it migrates a database that has lost its data."""

import asyncio
import signal

import asyncpg
import pytest

from deploy.full_stack import FRONTEND
from tests.support.frontend import boot_of, frontend_environment, running_frontend
from tests.support.helm import CHART
from tests.support.waiting import poll_until, timeout

pytestmark = pytest.mark.timeout(240)


async def test_an_empty_database_is_migrated(database_url: str) -> None:
    script = (CHART / "files" / "web_migrate_again.mjs").read_text()
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        container = await asyncio.create_subprocess_exec(
            *("node", "--input-type=module", "--eval", script, frontend.url),
            cwd=FRONTEND,
            env=await frontend_environment(database_url, 3000, {}),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            connection = await asyncpg.connect(database_url)
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            await connection.close()

            async def is_migrated() -> bool:
                return (await ada.client.get("/api/auth/jwks")).status_code == 200

            await poll_until(is_migrated, 30)
            async with frontend.sign_up("Bob", "198.51.100.2") as bob:
                assert boot_of(await bob.client.get("/"))["user"]["id"] == bob.id
        finally:
            container.send_signal(signal.SIGTERM)
            async with timeout(10):
                assert await container.wait() == 0
