"""The benchmark: every variant has the same responses, and the results are measured."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.schemas.task import TaskResponse
from backend.schemas.task_page import TaskPage
from deploy.bench.accelerators import table_of_gains
from deploy.bench.footprint import growth_per_million
from deploy.bench.load import Sample, measure, write_script
from deploy.bench.regress import LIMIT, slower
from deploy.bench.runner import Environment, prepare
from deploy.bench.shards import ShardCost, table_of_shards
from deploy.bench.variants import VARIANTS, Server, Variant, run_server

pytestmark = pytest.mark.usefixtures("unmeasured_processes")

BY_NAME = {variant.name: variant for variant in VARIANTS}
TASKS = "/api/user-7/tasks"
MOMENTS = {"id": 0, "created_at": "", "updated_at": ""}


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[Environment]:
    async with prepare(pinned=False) as prepared:
        yield prepared


@contextlib.asynccontextmanager
async def client_of(environment: Environment, name: str) -> AsyncIterator[httpx.AsyncClient]:
    variant = BY_NAME[name]
    token = environment.stubs.tokens(variant.token)[6]
    async with (
        run_server(variant, environment.folder, environment.variables(variant)) as server,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {token}"}
        ) as client,
    ):
        yield client


async def responses_of(client: httpx.AsyncClient, routes: tuple[str, ...]) -> dict[str, Any]:
    """Call each route and return status and body. Values that differ between calls are replaced."""
    responses: dict[str, httpx.Response] = {}
    if "create" in routes:
        responses["create"] = await client.post(TASKS, json={"title": " Buy milk ", "description": "Oat"})
        one = f"{TASKS}/{responses['create'].json()['id']}"
        responses["patch"] = await client.patch(one, json={"title": "Buy more"})
        responses["complete"] = await client.patch(f"{one}/complete")
        responses["search"] = await client.get(TASKS, params={"search": "WITH MILK"})
        for name, path in {"foreign": "/api/user-8/tasks", "missing": f"{TASKS}/99999999"}.items():
            responses[name] = await client.get(path)
        responses["too long"] = await client.post(TASKS, json={"title": "x" * 201})
        responses["anonymous"] = await client.get(TASKS, headers={"Authorization": "Bearer no.such.token"})
    responses["get"] = await client.get(f"{TASKS}/361")
    found: dict[str, Any] = {}
    for name, response in responses.items():
        body = response.json() if response.is_success else {}
        found[name] = (response.status_code, body | MOMENTS if "id" in body and name != "get" else body)
    found["list"] = (await client.get(TASKS)).json()["tasks"][5:]  # after the new tasks
    return found


async def test_the_conventional_baseline_responds_like_the_service(environment: Environment) -> None:
    async with client_of(environment, "ours") as ours, client_of(environment, "conventional") as conventional:
        expected = await responses_of(ours, BY_NAME["ours"].routes)
        found = await responses_of(conventional, BY_NAME["conventional"].routes)
    expected["list"], found["list"] = expected["list"][:40], found["list"][1:41]  # one new task more
    assert found == expected
    assert [expected[name][0] for name in ("create", "patch", "foreign", "missing", "too long")] == [
        *(201, 200, 403, 404, 422)
    ]
    assert len(expected["search"][1]["tasks"]) == 3


async def test_the_unobserved_baseline_responds_like_the_service_and_logs_nothing(
    environment: Environment,
) -> None:
    async with (
        client_of(environment, "ours") as ours,
        client_of(environment, "ours, unobserved") as unobserved,
    ):
        for name in ("/361", "?limit=5", "/99999999"):
            found, expected = await unobserved.get(TASKS + name), await ours.get(TASKS + name)
            assert found.status_code == expected.status_code
            assert found.headers.keys() == expected.headers.keys()
            assert found.json() | {"request_id": ""} == expected.json() | {"request_id": ""}
    assert '"event":"request"' in (environment.folder / "ours" / "log").read_text()
    assert '"event":"request"' not in (environment.folder / "ours-unobserved" / "log").read_text()


async def test_handlers_without_layers_read_the_same_rows(environment: Environment) -> None:
    async with client_of(environment, "raw") as raw, client_of(environment, "ours, layers") as layers:
        assert (await raw.get(TASKS)).json()["tasks"] == (await layers.get(TASKS)).json()["tasks"]
        assert (await raw.get(f"{TASKS}/361")).json() == (await layers.get(f"{TASKS}/361")).json()


async def test_constant_responses_have_the_schema_of_the_service(environment: Environment) -> None:
    async with client_of(environment, "bare") as bare:
        page = TaskPage.model_validate((await bare.get(TASKS)).json())
        assert len(page.tasks) == page.count == 50
        for response in (
            await bare.get(f"{TASKS}/1"),
            await bare.post(TASKS, json={"title": "T"}),
            await bare.patch(f"{TASKS}/1", json={"title": "T"}),
            await bare.patch(f"{TASKS}/1/complete"),
        ):
            TaskResponse.model_validate(response.json())


_SLOW_SERVER = """
import asyncio
async def respond(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        await asyncio.sleep(1.5)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
async def main():
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.mark.skipif(
    shutil.which("wrk") is None and os.environ.get("CI") != "true", reason="wrk is not installed"
)
async def test_measurement_lasts_until_a_request_has_ended(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SLOW_SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        server = Server(Variant("slow"), int(await process.stdout.readline()), process)
        script = write_script(tmp_path, "slow", "get", ["token"])
        assert (await measure(server, script, seconds=1, connections=1)).per_second > 0
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(("now", "is_slower"), [(100 * LIMIT + 1, True), (100 * LIMIT - 1, False)])
def test_only_what_costs_clearly_more_than_at_the_base_fails(now: float, *, is_slower: bool) -> None:
    figures = {
        ("base", "get"): [Sample(cost, 1, 1, 1) for cost in (90, 100, 900)],
        ("ours", "get"): [Sample(cost, 1, 1, 1) for cost in (now, 10, 5000)],
    }
    assert bool(slower(figures)) is is_slower


def test_memory_that_settles_does_not_grow_and_a_leak_does() -> None:
    requests = [each * 10_000 for each in range(10)]
    settling = [90, 95, 98, 99, 100, 100, 100, 100, 100, 100]
    assert growth_per_million(requests, [float(each) for each in settling]) == 0
    assert round(growth_per_million(requests, [100 + each / 100_000 for each in requests])) == 10


def test_the_gain_of_an_accelerator_is_in_microseconds_and_per_cent() -> None:
    routes = ("list", "get", "create", "complete")
    costs = {("off", route): [400.0, 410.0, 900.0] for route in routes}
    costs |= {("fast_route", route): [300.0, 303.75, 310.0] for route in routes}
    costs |= {("on", route): [200.0, 200.0, 210.0] for route in routes}
    none, total, gain = table_of_gains(costs).splitlines()[2:]
    assert none == "| none | " + " | ".join(["405 µs"] * 4) + " |"
    assert total == "| all | " + " | ".join(["200 µs"] * 4) + " |"
    assert gain == "| fast_route | " + " | ".join(["103 µs, 51.6%"] * 4) + " |"


def test_the_cost_of_shards_is_compared_with_direct_within_a_round() -> None:
    direct = [ShardCost((each,), 0, 2 * each, 400, 6000) for each in (100, 200, 900)]
    routed = [
        ShardCost((0.6 * each, 0.5 * each), 0.5 * each, 3 * each, 500, 6000) for each in (100, 400, 300)
    ]
    first, second = table_of_shards({"direct": direct, "2 shards": routed}).splitlines()[2:]
    assert first == "| direct | 200 (1.00) | 200 (1.00) | 0 (0.00) | 400 (1.00) | 400 | 6,000 |"
    # Ratios of the rounds: 1.1, 2.2 and 0.37. The ratio of the medians would be 1.65.
    assert second == "| 2 shards | 330 (1.10) | 180 (0.60) | 150 (0.50) | 900 (1.50) | 500 | 6,000 |"
