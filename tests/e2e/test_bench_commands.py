"""The commands of the benchmark that load a machine on purpose: each says what it is there to say."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.bench.footprint import footprint
from deploy.bench.overload import overload
from deploy.bench.runner import Place, prepare
from deploy.bench.scaling import growth

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    async with prepare(pinned=False) as prepared:
        yield prepared


async def test_too_much_load_is_measured(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    await overload(place, seconds=3, rounds=1)
    said = capsys.readouterr().out
    assert re.search(
        r"^half load: [\d,]+ of [\d,]+ answers/s, p50 [\d.]+ ms, p99 [\d.]+ ms", said, re.MULTILINE
    )
    assert re.search(
        r"^3000 clients, medians: \d\.\d\d of the best .*, as before \d\.\d s after", said, re.MULTILINE
    )
    beside = re.search(r"^others beside them: .*statuses \{200: (\d+)\}$", said, re.MULTILINE)
    assert beside is not None
    assert int(beside[1]) > 0
    assert re.search(r"^noisy user: [1-9][\d,]* answers/s", said, re.MULTILINE)


async def test_growth_is_measured_beside_its_model(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await growth(place, seconds=2, rounds=1, workers=(1, 2), pods=(1, 2), chart=tmp_path / "growth.png")
    said = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in said.splitlines() if re.match(r"\| \d", line)]
    measured = [[float(cell.replace(",", "")) for cell in row] for row in rows if len(row) == 8]
    assert [row[0] for row in measured] == [1, 2, 1, 2]
    assert all(cell > 0 for row in measured for cell in row)
    # One worker is what the model is made from, so it has to know that one.
    assert 0.5 < measured[0][3] / measured[0][1] < 2
    # Two workers with a core each, and two pods, answer more than one.
    assert measured[1][2] > 1.3
    assert measured[3][2] > 1.3
    assert "| 100 | 16 | 2000 |" in said
    assert (tmp_path / "growth.png").stat().st_size > 10_000


async def test_memory_and_start_are_measured(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    await footprint(place, requests=2_000, seconds=1, starts=1)
    said = capsys.readouterr().out
    figures = re.findall(
        r"^(?:import|from the start of Gunicorn to the first answer): ([\d.]+) s", said, re.MULTILINE
    )
    assert all(0 < float(each) < 60 for each in figures)
    assert len(figures) == 2
    assert re.search(
        r"^after [\d,]+ requests: \d+ MiB, \d+ its share; at most \d+; [+-][\d.]+ MiB", said, re.MULTILINE
    )
    assert re.search(r"^4 workers: \d+ MiB together, \d+ the share of each", said, re.MULTILINE)
