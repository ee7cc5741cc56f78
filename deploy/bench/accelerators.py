"""Measures the gain of each accelerator: compares the service with all off and with exactly one on."""

import asyncio
import contextlib
import json
import random
from collections import defaultdict
from collections.abc import Mapping
from statistics import quantiles

from backend.platform.settings.fast_paths import FAST_PATHS
from deploy.bench.database import TASKS_PER_USER
from deploy.bench.report import echo
from deploy.bench.runner import Environment
from deploy.bench.variants import Server, Variant, run_server

__all__ = ["accelerators", "table_of_gains"]

_ROUTES = ("list", "get", "create", "complete")
_CONNECTIONS = 8
_REQUESTS_PER_CONNECTION = 12

type Costs = Mapping[tuple[str, str], list[float]]
"""CPU time per request in µs, one sample per round, by variant and route."""


async def accelerators(environment: Environment, *, rounds: int) -> None:
    """Print the CPU time of a request without accelerators, and the saving of each accelerator.

    Args:
        environment: The benchmark environment.
        rounds: Number of samples of each route and variant, each of 96 requests, in random order.
    """
    names = ("off", *FAST_PATHS, "on")
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                run_server(variant, environment.folder, environment.variables(variant))
            )
            for variant in (Variant(name, environment={"FAST_PATHS": name}) for name in names)
        ]
        tokens = environment.stubs.tokens("HS256")
        for number in range(rounds + 1):
            for route in _ROUTES:
                for server in random.sample(servers, len(servers)):
                    cost = await _burst(server, route, tokens)
                    if number:  # round 0 is the warm-up
                        costs[server.variant.name, route].append(cost)
    echo(table_of_gains(costs))


def table_of_gains(costs: Costs) -> str:
    """Return a Markdown table of the CPU time per request that each accelerator saves.

    The figures are lower quartiles in µs, because other programs on the machine can only increase a sample. The
    percentages are of a request with all accelerators.
    """
    typical = {name: [_quartile(costs[name, route]) for route in _ROUTES] for name, _ in costs}
    rows = {"none": [f"{cost:.0f} µs" for cost in typical["off"]]}
    rows["all"] = [f"{cost:.0f} µs" for cost in typical["on"]]
    for name in [each for each in typical if each not in {"off", "on"}]:
        columns = zip(typical["off"], typical[name], typical["on"], strict=True)
        rows[name] = [f"{off - alone:.0f} µs, {(off - alone) / on:.1%}" for off, alone, on in columns]
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    head = f"| Alone | {' | '.join(_ROUTES)} |"
    return "\n".join([head, "| --- |" + " ---: |" * len(_ROUTES), *lines])


def _quartile(samples: list[float]) -> float:
    return quantiles(samples, n=4, method="inclusive")[0]


async def _burst(server: Server, route: str, tokens: list[str]) -> float:
    """Send 96 requests and return the CPU time of the server per request, in µs."""
    before = server.cpu_seconds()
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(_send_requests(server, route, tokens))
    return (server.cpu_seconds() - before) / (_CONNECTIONS * _REQUESTS_PER_CONNECTION) * 1e6


async def _send_requests(server: Server, route: str, tokens: list[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for _ in range(_REQUESTS_PER_CONNECTION):
            writer.write(_request(route, tokens))
            headers = await reader.readuntil(b"\r\n\r\n")
            if not headers.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(f"{server.variant.name}, {route}: {headers[:100]!r}")
            length = headers.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
    finally:
        writer.close()


def _request(route: str, tokens: list[str]) -> bytes:
    user = random.randrange(len(tokens))  # noqa: S311 - not a secret
    path = f"/api/user-{user + 1}/tasks"
    task = user * TASKS_PER_USER + random.randint(1, TASKS_PER_USER)  # noqa: S311 - not a secret
    body = json.dumps({"title": "Buy milk", "description": "Oat"}) if route == "create" else ""
    target = {
        "list": f"GET {path}",
        "get": f"GET {path}/{task}",
        "create": f"POST {path}",
        "complete": f"PATCH {path}/{task}/complete",
    }[route]
    fields = f"Host: service\r\nAuthorization: Bearer {tokens[user]}\r\nContent-Type: application/json"
    return f"{target} HTTP/1.1\r\n{fields}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
