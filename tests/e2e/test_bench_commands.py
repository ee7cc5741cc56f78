"""Benchmark commands that need a high load: each prints its results."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.bench.database import USERS
from deploy.bench.footprint import footprint
from deploy.bench.overload import overload
from deploy.bench.purge import purge
from deploy.bench.runner import Environment, prepare
from deploy.bench.scaling import growth
from deploy.bench.shards import shards
from deploy.shards.sharded_postgres import PROGRAM

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[Environment]:
    async with prepare(pinned=False) as prepared:
        yield prepared


async def test_overload_is_measured(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    await overload(environment, seconds=3, rounds=1)
    output = capsys.readouterr().out
    assert re.search(
        r"^half load: [\d,]+ of [\d,]+ responses/s, p50 [\d.]+ ms, p99 [\d.]+ ms", output, re.MULTILINE
    )
    assert re.search(
        r"^3000 clients, medians: [\d.]+ of the maximum .*, recovered [\d.]+ s after", output, re.MULTILINE
    )
    quiet = re.search(r"^other users with the noisy user: .*statuses \{200: (\d+)\}$", output, re.MULTILINE)
    assert quiet is not None
    assert int(quiet[1]) > 0
    assert re.search(r"^noisy user: [1-9][\d,]* responses/s", output, re.MULTILINE)


async def test_growth_is_measured_and_predicted(
    environment: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await growth(environment, seconds=2, rounds=1, workers=(1, 2), pods=(1, 2), chart=tmp_path / "growth.png")
    output = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in output.splitlines() if re.match(r"\| \d", line)]
    measured = [[float(cell.replace(",", "")) for cell in row] for row in rows if len(row) == 8]
    assert [row[0] for row in measured] == [1, 2, 1, 2]
    assert all(cell > 0 for row in measured for cell in row)
    # The model is based on one worker, so it must predict the throughput of one worker.
    assert 0.5 < measured[0][3] / measured[0][1] < 2
    # Two workers with a core each, and two pods, have a higher throughput than one.
    assert measured[1][2] > 1.3
    assert measured[3][2] > 1.3
    assert "| 100 | 16 | 2000 |" in output
    assert (tmp_path / "growth.png").stat().st_size > 10_000


async def test_memory_and_start_are_measured(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    await footprint(environment, requests=2_000, seconds=1, starts=1)
    output = capsys.readouterr().out
    figures = re.findall(
        r"^(?:import|from the start of Gunicorn to the first response): ([\d.]+) s", output, re.MULTILINE
    )
    assert all(0 < float(each) < 60 for each in figures)
    assert len(figures) == 2
    assert re.search(
        r"^after [\d,]+ requests: \d+ MiB, PSS \d+ MiB; maximum \d+ MiB; growth [+-][\d.]+ MiB",
        output,
        re.MULTILINE,
    )
    assert re.search(r"^4 workers: \d+ MiB together, PSS \d+ MiB per worker", output, re.MULTILINE)


@pytest.mark.skipif(
    shutil.which(PROGRAM) is None and os.environ.get("CI") != "true", reason=f"{PROGRAM} is not installed"
)
async def test_shards_are_measured(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    await shards(environment, seconds=2, rounds=1, numbers=(1, 2))
    output = capsys.readouterr().out
    (users,) = re.findall(r"^2 shards: (\d+), (\d+) users$", output, re.MULTILINE)
    assert sum(map(int, users)) == USERS
    _, *rows = re.findall(r"^\| (\w[^|]*) \|(.*)\|$", output, re.MULTILINE)
    cells = {name: [float(cell.split()[0].replace(",", "")) for cell in row.split("|")] for name, row in rows}
    assert list(cells) == ["direct, 1 PostgreSQL", "1 shard", "2 shards"]
    for name, (database, busiest, router, service, wal, response) in cells.items():
        assert min(database, service, wal, response) > 0
        assert (router > 0) is ("shard" in name)
        # Both of two shards have users, so neither has all of the load.
        assert busiest < database if name == "2 shards" else busiest == database


async def test_the_latency_beside_a_purge_is_measured(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    await purge(environment, keys=20_000, seconds=1)
    output = capsys.readouterr().out
    assert "\nDeleted 20000 expired idempotency keys in " in output
    for name in ("p50", "p99"):
        assert re.search(
            rf"^{name}: [\d.]+ ms with the purge, .* ratio within a pair [\d.]+ \(", output, re.MULTILINE
        )
