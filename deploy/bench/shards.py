"""Measures what a request costs PostgreSQL, the router and the service: direct, and through the router of shards."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from backend.devtools.embedded_postgres import DATABASE
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from deploy.bench.database import SETTINGS, USERS, fill
from deploy.bench.load import measure, write_script
from deploy.bench.report import echo
from deploy.bench.runner import Environment
from deploy.bench.variants import Server, Variant, cpu_seconds, postgres_cpu_seconds, run_server
from deploy.shards.sharded_postgres import ShardedPostgres, sharded_postgres

__all__ = ["ShardCost", "shards", "table_of_shards"]

_DIRECT = "direct, 1 PostgreSQL"


@dataclass(frozen=True)
class ShardCost:
    """The cost of a request: CPU time in microseconds, and bytes.

    Attributes:
        shards: CPU time of each PostgreSQL, per request to any of them.
        router: CPU time of the router; 0 without one.
        service: CPU time of the service.
        wal: Bytes of write-ahead log, all shards together.
        response: Bytes of the response with its header.
    """

    shards: tuple[float, ...]
    router: float
    service: float
    wal: float
    response: float

    @property
    def database(self) -> float:
        """The CPU time of all shards together."""
        return sum(self.shards)


@dataclass(frozen=True)
class _Case:
    """A service and the database behind it.

    Attributes:
        server: The service.
        database: The servers, and the router if there is one.
        is_routed: Whether the service uses the router.
    """

    server: Server
    database: ShardedPostgres
    is_routed: bool

    def database_seconds(self) -> list[float]:
        """Return the CPU time of each shard."""
        return [postgres_cpu_seconds(each.process_id) for each in self.database.shards]

    async def wal_bytes(self) -> int:
        """Return the bytes of write-ahead log that all shards have written."""
        written = 0
        for shard in self.database.shards:
            async with _connection(shard.url) as connection:
                written += await connection.fetchval("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        return written

    def router_seconds(self) -> float:
        """Return the CPU time of the router, 0 for a service without one."""
        return cpu_seconds(self.database.router.process_id) if self.is_routed else 0


async def shards(
    environment: Environment, *, seconds: int, rounds: int, numbers: Sequence[int] = (1, 2, 4)
) -> None:
    """Print the cost of mixed requests for each number of shards, and direct to the first server of the first number.

    Args:
        environment: The benchmark environment. Its database is not used.
        seconds: Duration of a sample.
        rounds: Number of samples of each, alternating. Medians are printed; ratios are those within a round.
        numbers: Numbers of shards. The first one should be 1, so that direct has all users.
    """
    script = write_script(environment.folder, "shards", "mixed", environment.stubs.tokens("HS256"))
    async with contextlib.AsyncExitStack() as stack:
        cases: list[_Case] = []
        for number in numbers:
            folder = environment.folder / f"shards-{number}"
            folder.mkdir()
            database = await stack.enter_async_context(sharded_postgres(folder, number, SETTINGS))
            users = await _fill(database)
            echo(f"{_name(number)}: {', '.join(map(str, users))} users")
            variants = [_variant(_name(number), database.url, "spqr")]
            if not cases:
                variants.insert(0, _variant(_DIRECT, _tcp_url(database.shards[0].port), "none"))
            for variant in variants:
                server = await stack.enter_async_context(
                    run_server(variant, environment.folder, environment.variables(variant))
                )
                cases.append(_Case(server, database, is_routed=variant.name != _DIRECT))
        found: dict[str, list[ShardCost]] = {case.server.variant.name: [] for case in cases}
        for round_number in range(rounds + 1):
            for case in cases:
                cost = await _measure(case, script, seconds)
                if round_number:  # round 0 is the warm-up
                    found[case.server.variant.name].append(cost)
        echo(f"\n{table_of_shards(found)}")


def table_of_shards(found: Mapping[str, Sequence[ShardCost]]) -> str:
    """Return a Markdown table of medians. The first entry is direct; ratios to it are medians of those of each round."""
    lines = [
        "| Mixed requests | PostgreSQL µs | busiest shard µs | router µs | service µs | WAL bytes | response bytes |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    direct = next(iter(found.values()))
    database = [each.database for each in direct]
    service = [each.service for each in direct]
    for name, costs in found.items():
        each_shard = zip(*(cost.shards for cost in costs), strict=True)
        cells = [
            _compared([cost.database for cost in costs], database),
            _compared(max(each_shard, key=median), database),
            _compared([cost.router for cost in costs], database),
            _compared([cost.service for cost in costs], service),
            f"{median(cost.wal for cost in costs):,.0f}",
            f"{median(cost.response for cost in costs):,.0f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _compared(values: Sequence[float], direct: Sequence[float]) -> str:
    """Return the median, and the median of the ratios within a round."""
    ratio = median(value / base for value, base in zip(values, direct, strict=True))
    return f"{median(values):.0f} ({ratio:.2f})"


async def _measure(case: _Case, script: Path, seconds: int) -> ShardCost:
    before = case.database_seconds(), case.router_seconds(), await case.wal_bytes()
    sample = await measure(case.server, script, seconds=seconds)
    return ShardCost(
        tuple(
            (now - then) / sample.requests * 1e6
            for now, then in zip(case.database_seconds(), before[0], strict=True)
        ),
        (case.router_seconds() - before[1]) / sample.requests * 1e6,
        sample.cpu_microseconds,
        (await case.wal_bytes() - before[2]) / sample.requests,
        sample.response_bytes,
    )


def _name(number: int) -> str:
    return f"{number} shard{'s' * (number > 1)}"


def _variant(name: str, url: str, pooler: str) -> Variant:
    return Variant(name, environment={"DATABASE_URL": url, "DATABASE_POOLER": pooler})


def _tcp_url(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/{DATABASE}?sslmode=disable"


async def _fill(database: ShardedPostgres) -> list[int]:
    """Fill each shard with all users, delete those that the router looks for on another one, and return how many stay."""
    for shard in database.shards:
        await fill(shard.url)
    users: dict[int, list[str]] = defaultdict(list)
    async with _connection(database.url) as router:
        for number in range(1, USERS + 1):
            user = f"user-{number}"
            port = await router.fetchval("SELECT current_setting('port')::int FROM users WHERE id = $1", user)
            users[port].append(user)
    for shard in database.shards:
        async with _connection(shard.url) as connection:
            await connection.execute("DELETE FROM users WHERE id != ALL($1)", users[shard.port])
            await connection.execute("VACUUM FULL ANALYZE")
    return [len(users[shard.port]) for shard in database.shards]


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(parse_dsn(url), timeout_seconds=60)
    try:
        yield connection
    finally:
        connection.terminate()  # the router does not answer an orderly close
