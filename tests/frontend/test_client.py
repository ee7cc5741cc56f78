"""The code of docs/frontend.md, compiled and run with a real Better Auth and the live service."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from tests.support.better_auth import better_auth
from tests.support.service import running_service, service_settings

pytestmark = pytest.mark.timeout(240)

SOURCE = Path(__file__).parent
ROOT = SOURCE.parents[1]
PAGE = ROOT / "docs" / "frontend.md"
ORIGIN = "https://app.example.com"


async def run(folder: Path, *command: str, **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, (said + complained).decode()
    return said.decode()


async def installed() -> Path:
    """Install what the lock file says, once for each lock file, and return the folder of packages."""
    if shutil.which("npm") is None:
        reason = "node and npm are not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / ".cache" / "frontend" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCE / name, folder)
            await run(folder, "npm", "ci", "--no-audit", "--no-fund")
            (folder / "installed").touch()
    return folder / "node_modules"


async def compiled(folder: Path) -> Path:
    """Write the page's files beside the driver, compile them, and return the program."""
    (folder / "node_modules").symlink_to(await installed())
    for name in ("package.json", "tsconfig.json", "drive.ts"):
        shutil.copy(SOURCE / name, folder)
    blocks = re.findall(r"```ts file=(\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["tasks.ts", "first-steps.ts"]
    for name, code in blocks:
        (folder / name).write_text(code)
    shutil.copy(ROOT / "docs" / "openapi.json", folder)
    command = re.search(r"^npx (openapi-typescript .*)$", PAGE.read_text(), re.MULTILINE)
    assert command is not None
    await run(folder, *f"node_modules/.bin/{command[1]}".split())
    await run(folder, "node_modules/.bin/tsc")
    return folder / "out" / "drive.js"


async def test_page_compiles_strictly_and_its_client_works(empty_database_url: str, tmp_path: Path) -> None:
    program = await compiled(tmp_path)
    async with better_auth(empty_database_url, algorithm="EdDSA") as frontend:
        await migrate(empty_database_url, SCHEMA)
        settings = service_settings(
            empty_database_url,
            better_auth_secret=None,
            better_auth_url=frontend.url,
            allowed_origins=(ORIGIN,),
        )
        async with running_service(settings) as service:
            ada = await frontend.sign_up("Ada")
            said = await run(
                tmp_path,
                *("node", str(program)),
                AUTH_URL=frontend.url,
                API_URL=service.url,
                SESSION=ada.session_token,
                USER_ID=ada.id,
            )
            # A first token that is no good is replaced once; one that never will be ends in the 401.
            expected = {"titles": ["Buy milk"], "fetched": 2, "foreign": 403, "hopeless": 401, "refused": 2}
            assert json.loads(said) == expected

            preflight = {
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            async with httpx.AsyncClient(base_url=service.url) as client:
                answer = await client.options(f"/api/{ada.id}/tasks/1", headers=preflight)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == ORIGIN
