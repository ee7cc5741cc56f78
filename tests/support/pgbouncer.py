"""The real PgBouncer, before the tests' PostgreSQL."""

import asyncio
import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.waiting import poll_until

__all__ = ["pgbouncer"]

CONFIGURATION = """
[databases]
* = host={server} port=5432 user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = {pool_mode}
default_pool_size = 4
max_client_conn = 200
server_lifetime = 1
server_login_retry = 1
server_connect_timeout = 2
"""


@contextlib.asynccontextmanager
async def pgbouncer(database_url: str, pool_mode: str = "transaction") -> AsyncIterator[str]:
    """Yield the database's URL by way of PgBouncer."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        reason = "pgbouncer is not installed (apt-get install pgbouncer)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    url = urlsplit(database_url)
    server = parse_qs(url.query).get("host")
    if server is None:
        pytest.skip("the server of DATABASE_URL is not on a Unix socket")
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        file = folder / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(server=server[0], folder=folder, pool_mode=pool_mode))
        if user := _unprivileged_user():  # PgBouncer refuses root
            for path in (folder, file):
                os.chown(path, user.pw_uid, user.pw_gid)
        user_id = user.pw_uid if user else None
        process = await asyncio.create_subprocess_exec(
            program, "-q", file, stderr=asyncio.subprocess.PIPE, user=user_id, group=user and user.pw_gid
        )
        try:

            async def listens() -> bool:
                assert process.returncode is None, await _error(process)
                return (folder / ".s.PGSQL.6432").exists()

            await poll_until(listens, what="PgBouncer listens")
            yield f"postgresql://postgres@{url.path}?host={folder}&port=6432"
        finally:
            process.kill()
            await process.communicate()


def _unprivileged_user() -> pwd.struct_passwd | None:
    # The one that owns the sockets of the embedded server.
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


async def _error(process: asyncio.subprocess.Process) -> str:
    return (await process.communicate())[1].decode()
