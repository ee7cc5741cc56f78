"""Runs variants side by side, and alternates between them: each route of each variant in every round."""

import contextlib
import os
import secrets
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.bench.database import filled_database, pgbench
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.stubs import Stubs, run_stubs
from deploy.bench.variants import ROUTES, Server, Variant, run_server

__all__ = ["Environment", "Figures", "compare", "prepare"]

type Figures = Mapping[tuple[str, str], list[Sample]]
"""The samples by variant and route. Those of pgbench only have the throughput."""


@dataclass(frozen=True)
class Environment:
    """The environment of the variants.

    Attributes:
        folder: Directory for files.
        url: URL of the database.
        stubs: The stubs of frontend and collector.
    """

    folder: Path
    url: str
    stubs: Stubs

    def variables(self, variant: Variant) -> dict[str, str]:
        """Return the environment variables of a variant, with all observability enabled."""
        common = {
            "DATABASE_URL": self.url,
            "BETTER_AUTH_SECRET": self.stubs.secret,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.stubs.url,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.05",
        }
        return common | ({"BETTER_AUTH_URL": self.stubs.url} if variant.token == "EdDSA" else {})  # noqa: S105 - the name of an algorithm


@contextlib.asynccontextmanager
async def prepare(*, pinned: bool = True) -> AsyncIterator[Environment]:
    """Fill a database, and pin everything but the servers to another core.

    Args:
        pinned: Whether to change the CPU affinity of this process. The change is permanent.
    """
    if pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="task-service-bench-")))
        folder.chmod(0o755)  # noqa: ASYNC240 - once; PostgreSQL runs as another user if this process is root
        url = await stack.enter_async_context(filled_database(folder / "postgres"))
        stubs = await stack.enter_async_context(run_stubs(secrets.token_urlsafe(48)))
        yield Environment(folder, url, stubs)


async def compare(
    environment: Environment,
    variants: Sequence[Variant],
    *,
    routes: Sequence[str] = ROUTES,
    rounds: int = 3,
    seconds: int = 3,
    with_pgbench: bool = True,
) -> Figures:
    """Measure each route of each variant, alternating, after a warm-up.

    Args:
        environment: The benchmark environment.
        variants: The variants to compare.
        routes: The routes to measure.
        rounds: Number of samples of each.
        seconds: Duration of a sample.
        with_pgbench: Whether to measure the database alone with pgbench.
    """
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        servers: list[Server] = [
            await stack.enter_async_context(run_server(each, environment.folder, environment.variables(each)))
            for each in variants
        ]
        tokens = {kind: environment.stubs.tokens(kind) for kind in {each.token for each in variants}}
        for route in routes:
            for number in range(rounds + 1):
                for server in servers:
                    variant = server.variant
                    if route not in variant.routes:
                        continue
                    script = write_script(environment.folder, variant.token, route, tokens[variant.token])
                    sample = await measure(server, script, seconds=seconds if number else min(seconds, 1))
                    if number:  # round 0 is the warm-up
                        samples[variant.name, route].append(sample)
                if number and with_pgbench:
                    rate = await pgbench(environment.url, environment.folder, route, seconds)
                    if rate is not None:
                        samples["pgbench", route].append(Sample(0, rate, 0, 0))
    return samples
