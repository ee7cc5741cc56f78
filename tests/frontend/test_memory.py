"""Memory of the frontend's server with the options of its image."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from deploy.full_stack import FRONTEND
from tests.support.frontend import PASSWORD, Frontend, running_frontend
from tests.support.waiting import poll_until

pytestmark = pytest.mark.timeout(240)

IDLE_MAX_BYTES = 100_000_000


def options_of_the_image() -> str:
    runtime = (FRONTEND / "Dockerfile").read_text().partition(" AS runtime\n")[2]
    entrypoint = re.search(r"^ENTRYPOINT (\[.*\])$", runtime, re.MULTILINE)
    assert entrypoint is not None
    node, *options, program = json.loads(entrypoint[1])
    assert (node, program) == ("node", "dist/server/main.js")
    return " ".join(options)


def resident(frontend: Frontend) -> int:
    """Return the resident memory in bytes."""
    status = Path(f"/proc/{frontend.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


async def test_server_is_small_when_idle_before_and_after_use(database_url: str) -> None:
    async with running_frontend(database_url, NODE_OPTIONS=options_of_the_image()) as frontend:
        started = resident(frontend)
        async with frontend.sign_up() as ada:
            for _ in range(50):
                assert (await ada.boot())["user"]["id"] == ada.id

            async def sign_in(number: int) -> int:
                async with frontend.client(f"198.51.100.{number}") as client:
                    body = {"email": ada.email, "password": PASSWORD}
                    return (await client.post("/api/auth/sign-in/email", json=body)).status_code

            assert await asyncio.gather(*map(sign_in, range(10, 18))) == [200] * 8
        # V8 releases memory some seconds after the last request.
        await poll_until(lambda: resident(frontend) <= IDLE_MAX_BYTES, 60, what="the server is small again")
        print(
            f"resident: {started / 1e6:.0f} MB after the start, {resident(frontend) / 1e6:.0f} MB after use"
        )
        assert started <= IDLE_MAX_BYTES
