"""Measures latency with a large table, for a user with few tasks, with some, and with a tenth of all tasks."""

from pathlib import Path

from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from deploy.bench.database import USERS
from deploy.bench.load import measure, write_script
from deploy.bench.report import echo, median_sample
from deploy.bench.runner import Environment
from deploy.bench.variants import ROUTES, Server, Variant, run_server

__all__ = ["size"]

_SOME, _SOME_TASKS = USERS // 2, 15_000
"""A user, and their number of tasks: too few for PostgreSQL's statistics of a table with millions of rows."""

_ROUTES = [route for route in ROUTES if route != "mixed"]


async def size(environment: Environment, *, rows: int, seconds: int, rounds: int) -> None:
    """Print the median latency of each route before and after the table is filled.

    Args:
        environment: The benchmark environment. The rows stay in its database.
        rows: Number of rows to insert, a tenth of them for one user.
        seconds: Duration of a sample.
        rounds: Number of samples of each.
    """
    tokens = environment.stubs.tokens("HS256")

    def scripts_of(user: int) -> dict[str, Path]:
        # Tasks are created for the next user, so that this user keeps their number of tasks.
        users = {route: user + (route == "create" and user < USERS) for route in _ROUTES}
        return {
            route: write_script(
                environment.folder, f"size-{user}", route, [tokens[each - 1]], first_user=each
            )
            for route, each in users.items()
        }

    few, some, many = scripts_of(1), scripts_of(_SOME), scripts_of(USERS)
    variant = Variant("ours")

    async def typical(server: Server, script: Path) -> float:
        samples = [await measure(server, script, seconds=seconds, connections=4) for _ in range(rounds)]
        return median_sample(samples).p50_milliseconds

    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        before = {route: await typical(server, few[route]) for route in _ROUTES}
        await _fill(environment.url, rows)
        echo(
            f"| Route | 60 tasks, small table | 60 tasks, {rows:,} rows "
            f"| {_SOME_TASKS:,} tasks, {rows:,} rows | {rows // 10:,} tasks, {rows:,} rows |"
        )
        echo("| --- | ---: | ---: | ---: | ---: |")
        for route in _ROUTES:
            found = [await typical(server, scripts[route]) for scripts in (few, some, many)]
            cells = [f"{each:.2f} ms ({each / before[route]:.2f})" for each in found]
            echo(f"| {route} | {before[route]:.2f} ms | {' | '.join(cells)} |")


async def _fill(url: str, rows: int) -> None:
    """Insert the rows, build the indexes after them, which is much faster, and update the statistics."""
    connection = await open_connection(parse_dsn(url), timeout_seconds=60)
    try:
        await connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname LIKE 'ix_%'"
        )
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['indexname']}")
        await connection.execute(
            "INSERT INTO users (id, name, email) SELECT 'other-' || n, 'User', 'other-' || n || '@example.com'"
            " FROM generate_series(0, 9999) AS n"
        )
        for start in range(0, rows, 500_000):
            await connection.execute(
                """
                INSERT INTO tasks (user_id, title, description, completed, created_at)
                SELECT CASE WHEN n % 10 = 0 THEN $1 WHEN n % greatest(2, $4::integer / $5::integer) = 1 THEN $6 ELSE 'other-' || n % 9973 END,
                    'Task ' || md5(n::text), 'Two litres of oat milk from the shop.', n % 3 = 0,
                    now() - n * interval '1 second'
                FROM generate_series($2::integer, $3) AS n
                """,
                f"user-{USERS}",
                start + 1,
                min(start + 500_000, rows),
                rows,
                _SOME_TASKS,
                f"user-{_SOME}",
                timeout=600,
            )
        for index in indexes:
            await connection.execute(index["indexdef"], timeout=3600)
        await connection.execute("VACUUM ANALYZE tasks", timeout=3600)
    finally:
        await connection.close()
