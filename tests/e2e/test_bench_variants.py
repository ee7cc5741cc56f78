"""The benchmark's variants under load."""

import pytest

from deploy.bench.report import table
from deploy.bench.runner import compare, prepare
from deploy.bench.variants import VARIANTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_every_variant_serves_every_route_under_load() -> None:
    by_name = {variant.name: variant for variant in VARIANTS}
    mixed = [variant for variant in VARIANTS if "mixed" in variant.routes]
    reading = [by_name["ours"], *(variant for variant in VARIANTS if variant not in mixed)]
    async with prepare(pinned=False) as environment:
        figures = {
            **await compare(environment, mixed, routes=["mixed"], rounds=1, seconds=1),
            **await compare(environment, reading, routes=["get"], rounds=1, seconds=1),
        }
    assert {name for name, _ in figures} == {*by_name, "pgbench"}
    for (name, _), samples in figures.items():
        assert all(sample.per_second > 0 for sample in samples)
        assert name == "pgbench" or all(20 < sample.cpu_microseconds < 1_000_000 for sample in samples)
    assert table(figures).count("| mixed |") == len(mixed)
    assert table(figures).count("| get |") == len(reading) + 1  # with pgbench
