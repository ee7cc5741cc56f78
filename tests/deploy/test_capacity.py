"""The capacity model and the capacity plan, with measured costs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.bench.__main__ import main
from deploy.bench.capacity import MEASURED, Assumptions, Deployment, capacity, plan

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
GIVEN = Assumptions()
SMALL = Deployment(workers=1, service_cores=2, database_cores=2, connections=10)


def test_one_worker_is_limited_by_its_core() -> None:
    rate, bottleneck = capacity(MEASURED, SMALL)
    assert (round(rate), bottleneck) == (2762, "workers")


@pytest.mark.parametrize(
    ("changes", "rate", "bottleneck"),
    [
        ({"workers": 2}, 5525, "workers"),
        ({"workers": 4}, 5525, "service cores"),
        ({"workers": 16, "service_cores": 16, "connections": 160}, 16000, "database cores"),
        ({"workers": 16, "service_cores": 16, "database_cores": 8}, 14085, "connections"),
    ],
)
def test_more_of_a_component_helps_until_another_is_the_bottleneck(
    changes: dict[str, Any], rate: float, bottleneck: str
) -> None:
    found = capacity(MEASURED, replace(SMALL, **changes))
    assert (round(found[0]), found[1]) == (rate, bottleneck)


def test_a_distant_database_is_limited_by_its_connections() -> None:
    far = replace(MEASURED, connection=20e-3)
    rate, bottleneck = capacity(far, replace(SMALL, workers=2, connections=20))
    assert (round(rate), bottleneck) == (1000, "connections")


def test_a_router_without_cores_limits_only_a_deployment_that_has_one() -> None:
    routed = replace(MEASURED, router=100e-6)
    assert capacity(routed, replace(SMALL, router_cores=0.2)) == (2000, "router cores")
    assert capacity(MEASURED, SMALL)[1] == "workers"


def test_the_measured_costs_are_those_of_the_page() -> None:
    (row,) = re.findall(r"^\| 1 \| 979 \|.*$", PAGE, re.MULTILINE)
    service, database = (int(cell) * 1e-6 for cell in row.split("|")[5:7])
    (connections,) = re.findall(r"a connection that is held throughout ([\d,]+)", PAGE)
    assert (MEASURED.worker, MEASURED.database) == pytest.approx((service, database))
    assert 1 / MEASURED.connection == pytest.approx(int(connections.replace(",", "")), rel=0.01)


def test_the_measured_cost_of_shards_is_that_of_the_page() -> None:
    (row,) = re.findall(r"^\| 4 shards \|.*$", PAGE, re.MULTILINE)
    database, _, router, service = (float(ratio) for ratio in re.findall(r"\((\d\.\d\d)\)", row))
    costs = plan(100_000_000, GIVEN).costs
    assert costs.database / MEASURED.database == pytest.approx(database)
    assert costs.router / MEASURED.database == pytest.approx(router)
    assert costs.worker / MEASURED.worker == pytest.approx(service)


def test_the_page_has_the_plan_that_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["python -m deploy.bench", "capacity"])
    assert main() == 0
    output = capsys.readouterr().out
    assert len(re.findall(r"^\| (?!---)", output, re.MULTILINE)) > 20
    assert output in PAGE


def test_the_command_takes_another_price(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = ("--vcpu-hour", "1", "--gigabyte-month", "0", "--gigabyte-sent", "0")
    monkeypatch.setattr("sys.argv", ["python -m deploy.bench", "capacity", *prices])
    main()
    rows = {
        cells[1].strip(): cells[2:-1]
        for line in capsys.readouterr().out.splitlines()
        if len(cells := line.split("|")) > 3
    }
    hours = [float(cell.replace(",", "")) for cell in rows["**a million requests**: vCPU-hours"]]
    assert [float(cell.split()[0].replace(",", "")) for cell in rows["cost"]] == hours


@pytest.mark.parametrize("users", [10_000, 1_000_000, 5_000_000, 100_000_000])
def test_every_component_of_a_plan_carries_its_users(users: int) -> None:
    found = plan(users, GIVEN)
    assert min(found.carried_users().values()) >= users
    assert found.connections_per_database <= GIVEN.server_connections


@pytest.mark.parametrize(
    ("assumptions", "component"),
    [
        (replace(GIVEN, tasks=2_000), "storage"),
        (replace(GIVEN, tasks=1), "workers"),
        (replace(GIVEN, tasks=1, server_connections=60), "max_connections"),
    ],
)
def test_the_first_limit_follows_from_the_assumptions(assumptions: Assumptions, component: str) -> None:
    carried = plan(300_000, assumptions).carried_users()
    assert min(carried, key=carried.__getitem__) == component


def test_the_connections_of_the_routers_are_the_last_limit() -> None:
    carried = plan(1_000_000_000, GIVEN).carried_users()
    assert [name for name, users in carried.items() if users < 1_000_000_000] == ["max_connections"]


def test_one_more_user_than_a_database_can_store_needs_a_second_one_and_routers() -> None:
    full = int(plan(1_000_000, GIVEN).carried_users()["storage"])
    one, two = plan(full, GIVEN), plan(full + 1, GIVEN)
    assert (one.shards, one.routers, one.costs.router) == (1, 0, 0)
    assert (two.shards, two.routers) == (2, 2)
    assert two.costs.router > 0


def test_a_database_that_is_too_slow_needs_shards_too() -> None:
    busy = replace(GIVEN, tasks=1, requests=4_000)
    found = plan(1_000_000, busy)
    needed = found.peak_rate * found.costs.database / busy.utilization
    assert 1 < found.shards <= needed / 16 + 1
    assert found.shards * found.shard_cores >= needed
