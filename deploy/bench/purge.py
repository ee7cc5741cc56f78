"""Measures the latency of traffic while expired idempotency keys are deleted, and while they are not."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from statistics import median, quantiles

from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.report import echo
from deploy.bench.runner import Environment
from deploy.bench.variants import Variant, run_server

__all__ = ["purge"]

_CLIENTS = 16
_PAUSE_MILLISECONDS = 150
"""16 clients with this pause send about 100 requests per second."""

_KEYS = """
    INSERT INTO users (id, name, email)
    SELECT 'gone-' || n, 'User', 'gone-' || n || '@example.com' FROM generate_series(0, 9999) AS n;
    INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, created_at)
    SELECT 'gone-' || n % 10000, gen_random_uuid(), sha256(n::text::bytea), repeat('x', 130)::bytea,
        now() - interval '3 days' + n * interval '80 ms' FROM generate_series(1, $KEYS) AS n;
"""


async def purge(environment: Environment, *, keys: int, seconds: int) -> None:
    """Print latencies with and without the purge, which runs in every other sample until it has deleted all keys.

    Args:
        environment: The benchmark environment.
        keys: Number of expired keys of users who do not return.
        seconds: Duration of a sample.
    """
    await _fill(environment.url, keys)
    tokens = environment.stubs.tokens("HS256")
    script = write_script(
        environment.folder, "purge", "keyed", tokens, pause_milliseconds=_PAUSE_MILLISECONDS
    )
    variant = Variant("ours")
    pairs: list[tuple[Sample, Sample]] = []
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:

        async def sample() -> Sample:
            return await measure(server, script, seconds=seconds, connections=_CLIENTS)

        await sample()  # the warm-up
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("task-service"),
            "purge-idempotency-keys",
            env={**os.environ, "DATABASE_URL": environment.url},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            while process.returncode is None:
                process.send_signal(signal.SIGSTOP)
                without = await sample()
                process.send_signal(signal.SIGCONT)
                pairs.append((await sample(), without))
            output = (await process.communicate())[0].decode().strip()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the purge ended with {process.returncode}")
    echo(f"{output} It was stopped in every other sample.")
    pairs = pairs[1:-1] or pairs  # the command starts in the first, and ends in the last
    per_second = median(each.per_second for pair in pairs for each in pair)
    echo(
        f"{len(pairs)} pairs of samples of {seconds} s, {per_second:.0f} requests/s, half of them creations with a key"
    )
    for name in ("p50_milliseconds", "p99_milliseconds"):
        busy = [getattr(pair[0], name) for pair in pairs]
        quiet = [getattr(pair[1], name) for pair in pairs]
        ratios = [one / other for one, other in zip(busy, quiet, strict=True)]
        low, middle, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        echo(
            f"{name.partition('_')[0]}: {median(busy):.1f} ms with the purge, {median(quiet):.1f} ms without, "
            f"ratio within a pair {middle:.2f} (quartiles {low:.2f} and {high:.2f})"
        )


async def _fill(url: str, keys: int) -> None:
    connection = await open_connection(parse_dsn(url), timeout_seconds=60)
    try:
        await connection.execute(_KEYS.replace("$KEYS", str(keys)), timeout=600)
        await connection.execute("VACUUM ANALYZE idempotency_keys", timeout=600)
        size = await connection.fetchval("SELECT pg_total_relation_size('idempotency_keys')")
    finally:
        await connection.close()
    echo(f"{keys:,} expired keys, {size / 1e6:,.0f} MB")
