"""`task-service loadtest`: mixed traffic with a live report in the terminal."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from backend.devtools.development_token import make_token
from backend.platform.settings.auth import AuthSettings

__all__ = ["run"]

_USER = "load"
_MIX = {"list": 55, "filter": 5, "create": 15, "update": 15, "complete": 5, "delete": 5}
_TIMEOUT_SECONDS = 10.0


@dataclass
class _Report:
    """Results so far. Times are in seconds."""

    started: float = field(default_factory=time.perf_counter)
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def table(self) -> Table:
        """Return the report as a table for the terminal."""
        elapsed = time.perf_counter() - self.started
        table = Table("requests", "per second", "p50 ms", "p95 ms", "p99 ms", "errors")
        percentiles = quantiles(self.latencies, n=100) if len(self.latencies) > 1 else [0.0] * 99
        latencies = [f"{percentiles[percent - 1] * 1000:.1f}" for percent in (50, 95, 99)]
        errors = ", ".join(f"{count} × {name}" for name, count in self.errors.most_common()) or "none"
        rate = f"{len(self.latencies) / elapsed:.0f}"
        table.add_row(str(len(self.latencies)), rate, *latencies, errors)
        return table


def run(settings: AuthSettings, url: str, *, duration_seconds: int, clients: int) -> bool:
    """Send mixed traffic and show a live report; return whether all requests succeeded.

    Args:
        settings: Settings that sign the token of the load test's user.
        url: Base URL of the service.
        duration_seconds: Duration in seconds, at least 1.
        clients: Number of concurrent clients, at least 1.

    Raises:
        ConfigurationError: See `make_token`.
    """
    token = make_token(settings, _USER, lifetime_seconds=duration_seconds + 60)
    report = _Report()
    asyncio.run(_load(url, token, duration_seconds, clients, report))
    return bool(report.latencies) and not report.errors


async def _load(url: str, token: str, seconds: int, clients: int, report: _Report) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        deadline = time.perf_counter() + seconds
        with Live(console=Console(), get_renderable=report.table, refresh_per_second=2):
            async with asyncio.TaskGroup() as group:
                for _ in range(clients):
                    group.create_task(_run_client(client, deadline, report))


async def _run_client(client: httpx.AsyncClient, deadline: float, report: _Report) -> None:
    """Send one request after the other until the deadline; change and delete only tasks that this client created."""
    task_ids: list[int] = []
    while time.perf_counter() < deadline:
        (action,) = random.choices([*_MIX], weights=[*_MIX.values()])  # noqa: S311 - not a secret
        if action not in {"list", "filter"} and not task_ids:
            action = "create"
        started = time.perf_counter()
        try:
            response = await _send(client, action, task_ids)
        except httpx.HTTPError as error:
            report.errors[type(error).__name__] += 1
            await asyncio.sleep(0.1)  # no busy loop while the service is unreachable
            continue
        report.latencies.append(time.perf_counter() - started)
        if response.is_error:
            report.errors[str(response.status_code)] += 1
        elif action == "create":
            task_ids.append(response.json()["id"])


async def _send(client: httpx.AsyncClient, action: str, task_ids: list[int]) -> httpx.Response:
    tasks = f"/api/{_USER}/tasks"
    match action:
        case "list":
            return await client.get(tasks, params={"limit": 20})
        case "filter":
            return await client.get(tasks, params={"tag": "load", "priority": "high", "sort": "due"})
        case "create":
            return await client.post(
                tasks, json={"title": "Under load", "tags": ["load"], "due": "2030-01-01"}
            )
        case "update":
            change = {"title": "Changed under load", "priority": "high"}
            return await client.patch(f"{tasks}/{task_ids[-1]}", json=change)
        case "complete":
            return await client.patch(f"{tasks}/{task_ids[-1]}/complete")
        case _:
            return await client.delete(f"{tasks}/{task_ids.pop()}")
