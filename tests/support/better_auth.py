"""A real Better Auth in Node, installed once into `.cache/`."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.waiting import scaled, timeout

__all__ = ["SECRET", "BetterAuth", "SignedUp", "better_auth"]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "integration" / "better_auth"
SECRET = "a-secret-of-the-frontend-with-32-or-more-characters"


@dataclass(frozen=True)
class SignedUp:
    """A user of the frontend, signed in.

    `cached_session` and `mailed`, the token of a link in an e-mail, are JWTs that are no access tokens.
    """

    id: str
    email: str
    session_token: str
    cookie: str
    cached_session: str
    mailed: str


@dataclass(frozen=True)
class BetterAuth:
    """A running frontend."""

    url: str
    client: httpx.AsyncClient

    async def sign_up(self, name: str) -> SignedUp:
        """Sign a new user up."""
        email = f"{name.lower()}@example.com"
        body = {"name": name, "email": email, "password": "a long password"}
        answer = await self.client.post("/api/auth/sign-up/email", json=body)
        assert answer.status_code == 200, answer.text
        self.client.cookies.clear()  # each user has a browser of their own
        said, cookies = answer.json(), answer.cookies
        mailed = await self.client.get("/mailed", params={"to": email})
        return SignedUp(
            said["user"]["id"],
            email,
            said["token"],
            cookies["better-auth.session_token"],
            cookies["better-auth.session_data"],
            mailed.text,
        )

    async def token(self, user: SignedUp) -> str:
        """Return a JWT of the user's session, as a frontend fetches it for the API."""
        headers = {"Authorization": f"Bearer {user.session_token}"}
        answer = await self.client.get("/api/auth/token", headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    async def delete(self, user: SignedUp) -> None:
        """Delete the user, as the frontend does on their wish."""
        headers = {"Authorization": f"Bearer {user.session_token}"}
        answer = await self.client.post(
            "/api/auth/delete-user", headers=headers, json={"password": "a long password"}
        )
        assert answer.status_code == 200, answer.text


@contextlib.asynccontextmanager
async def better_auth(
    database_url: str, *, algorithm: str, rotation_seconds: int = 0, schema: Mapping[str, Any] | None = None
) -> AsyncIterator[BetterAuth]:
    """Migrate and serve Better Auth on this database.

    Args:
        database_url: Shared with the service, as in production.
        algorithm: HS256, or one that the jwt plugin signs with.
        rotation_seconds: How long a key signs; 0 for ever.
        schema: Better Auth's options of its tables; by default `users` and its own names for the rest.
    """
    address = urlsplit(database_url)
    host = parse_qs(address.query).get("host", [address.hostname])[0]
    database = {
        "host": host,
        "port": address.port,
        "user": address.username,
        "password": address.password,
        "database": address.path[1:],
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    node = await asyncio.create_subprocess_exec(
        "node",
        "server.mjs",
        cwd=await asyncio.to_thread(_installed),
        env=os.environ
        | {
            "PORT": str(port),
            "SECRET": SECRET,
            "DATABASE": json.dumps(database),
            "ALGORITHM": algorithm,
            "ROTATION_SECONDS": str(rotation_seconds),
            "SCHEMA": json.dumps(schema or {}),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert node.stdout is not None
    try:
        async with timeout(60):
            said = b""
            while b"ready" not in said:
                line = await node.stdout.readline()
                assert line, said.decode()
                said += line
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=scaled(30)) as client:
            yield BetterAuth(url, client)
    finally:
        node.kill()
        await node.communicate()


def _installed() -> Path:
    """Install what the lock file says, once for each lock file, and return the folder."""
    if shutil.which("npm") is None:
        reason = "node and npm are not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / ".cache" / "better-auth" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCE / name, folder)
            subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True
            )
            (folder / "installed").touch()
        shutil.copy(SOURCE / "server.mjs", folder)
    return folder
