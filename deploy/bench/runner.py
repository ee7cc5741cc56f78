"""Runs variants side by side: round after round, each route of each variant in turn."""

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
from deploy.bench.stubs import Outside, run_outside
from deploy.bench.variants import ROUTES, Server, Variant, run_server

__all__ = ["Figures", "Place", "compare", "prepare"]

type Figures = Mapping[tuple[str, str], list[Sample]]
"""The samples of (variant, route); pgbench has its answers per second only."""


@dataclass(frozen=True)
class Place:
    """Where variants run.

    Attributes:
        folder: For files.
        url: Of the database.
        outside: Frontend and collector.
    """

    folder: Path
    url: str
    outside: Outside

    def environment(self, variant: Variant) -> dict[str, str]:
        """Return what a variant reads of its environment, with everything switched on."""
        own = {
            "DATABASE_URL": self.url,
            "BETTER_AUTH_SECRET": self.outside.secret,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.outside.url,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.05",
        }
        return own | ({"BETTER_AUTH_URL": self.outside.url} if variant.token == "EdDSA" else {})  # noqa: S105 - an algorithm


@contextlib.asynccontextmanager
async def prepare(*, pinned: bool = True) -> AsyncIterator[Place]:
    """Fill a database, and keep everything but the servers off their core.

    Args:
        pinned: Whether this process may change on which cores it runs, for good.
    """
    if pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="task-service-bench-")))
        folder.chmod(0o755)  # noqa: ASYNC240 - once; as root's child, PostgreSQL is another user
        url = await stack.enter_async_context(filled_database(folder / "postgres"))
        outside = await stack.enter_async_context(run_outside(secrets.token_urlsafe(48)))
        yield Place(folder, url, outside)


async def compare(
    place: Place,
    variants: Sequence[Variant],
    *,
    routes: Sequence[str] = ROUTES,
    rounds: int = 3,
    seconds: int = 3,
    with_pgbench: bool = True,
) -> Figures:
    """Measure each route of each variant, alternating, after a warm-up.

    Args:
        place: Where.
        variants: What.
        routes: Which requests.
        rounds: Samples of each.
        seconds: Length of a sample.
        with_pgbench: Measure the database alone as well.
    """
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        servers: list[Server] = [
            await stack.enter_async_context(run_server(each, place.folder, place.environment(each)))
            for each in variants
        ]
        tokens = {kind: place.outside.tokens(kind) for kind in {each.token for each in variants}}
        for route in routes:
            for number in range(rounds + 1):
                for server in servers:
                    variant = server.variant
                    if route not in variant.routes:
                        continue
                    script = write_script(place.folder, variant.token, route, tokens[variant.token])
                    sample = await measure(server, script, seconds=seconds if number else min(seconds, 1))
                    if number:  # the first is the warm-up
                        samples[variant.name, route].append(sample)
                if number and with_pgbench:
                    rate = await pgbench(place.url, place.folder, route, seconds)
                    if rate is not None:
                        samples["pgbench", route].append(Sample(0, rate, 0, 0))
    return samples
