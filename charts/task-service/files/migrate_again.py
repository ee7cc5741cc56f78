"""Migrates the embedded database whenever it is empty; its data is lost with its pod."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

SECONDS = 5
URL = Path("/etc/task-service/database-url").read_text().strip()


async def is_empty() -> bool:
    """Return whether the database has no schema."""
    connection = await asyncpg.connect(URL, timeout=SECONDS)
    try:
        return await connection.fetchval("SELECT to_regclass('alembic_version')") is None
    finally:
        await connection.close()


async def main() -> None:
    """Check every few seconds, until SIGTERM."""
    while True:
        try:
            if await is_empty():
                print("The database is empty: migrating it.", flush=True)
                await asyncio.to_thread(subprocess.run, ["task-service", "migrate"], check=False)
        except (OSError, asyncpg.PostgresError):
            pass  # unreachable; it may be empty later
        await asyncio.sleep(SECONDS)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
asyncio.run(main())
