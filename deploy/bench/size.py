"""What a request costs once the table is large: for a user with few tasks, and for one with a tenth of it all."""

import sys
from pathlib import Path
from statistics import median

import asyncpg

from backend.db.address import parse_address
from deploy.bench.database import USERS
from deploy.bench.load import measure, write_script
from deploy.bench.runner import Place
from deploy.bench.variants import Variant, run_server

__all__ = ["size"]

_ROUTES = ("list", "search", "get", "create", "patch", "complete")


async def size(place: Place, *, rows: int, seconds: int, rounds: int) -> None:
    """Print the median latency of each route before and after the table is filled.

    Args:
        place: Where; its database stays filled.
        rows: To write, a tenth of them for one user.
        seconds: Length of a sample.
        rounds: Samples of each.
    """
    tokens = place.outside.tokens("HS256")

    def scripts_of(user: int) -> dict[str, Path]:
        # Tasks are created for the next one, so that this one keeps its number.
        users = {route: user + (route == "create" and user < USERS) for route in _ROUTES}
        return {
            route: write_script(place.folder, f"size-{user}", route, [tokens[each - 1]], first_user=each)
            for route, each in users.items()
        }

    first, last = scripts_of(1), scripts_of(USERS)
    variant = Variant("ours")

    async def of(scripts: dict[str, Path], route: str) -> float:
        samples = [
            await measure(server, scripts[route], seconds=seconds, connections=4) for _ in range(rounds)
        ]
        return median(sample.p50_milliseconds for sample in samples)

    async with run_server(variant, place.folder, place.environment(variant)) as server:
        before = {route: await of(first, route) for route in _ROUTES}
        await _fill(place.url, rows)
        sys.stdout.write(
            f"| Route | 60 tasks, small table | 60 tasks, {rows:,} rows | {rows // 10:,} tasks, {rows:,} rows |\n"
            "| --- | ---: | ---: | ---: |\n"
        )
        for route in _ROUTES:
            few, many = await of(first, route), await of(last, route)
            sys.stdout.write(
                f"| {route} | {before[route]:.2f} ms | {few:.2f} ms ({few / before[route]:.2f}) "
                f"| {many:.2f} ms ({many / before[route]:.2f}) |\n"
            )


async def _fill(url: str, rows: int) -> None:
    """Write the rows with all indexes in place, as they grow in life, then gather statistics."""
    connection = await asyncpg.connect(**parse_address(url).arguments)
    try:
        await connection.execute(
            "INSERT INTO users (id, name, email) SELECT 'other-' || n, 'User', 'other-' || n || '@example.com'"
            " FROM generate_series(0, 9999) AS n"
        )
        for start in range(0, rows, 100_000):
            await connection.execute(
                f"""
                INSERT INTO tasks (user_id, title, description, completed, created_at)
                SELECT CASE WHEN n % 10 = 0 THEN 'user-{USERS}' ELSE 'other-' || n % 9973 END,
                    'Task ' || md5(n::text), 'Two litres of oat milk from the shop.', n % 3 = 0,
                    now() - n * interval '1 second'
                FROM generate_series({start + 1}, {min(start + 100_000, rows)}) AS n
                """,  # noqa: S608 - numbers of ours
                timeout=600,
            )
        await connection.execute("VACUUM ANALYZE tasks", timeout=1800)
    finally:
        await connection.close()
