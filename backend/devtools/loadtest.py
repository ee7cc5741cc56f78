"""`task-service loadtest`: a minute of mixed traffic, watched in the terminal."""

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
_MIX = {"list": 60, "create": 15, "update": 15, "complete": 5, "delete": 5}
_TIMEOUT_SECONDS = 10.0


@dataclass
class _Report:
    """What has been seen so far; times in seconds."""

    started: float = field(default_factory=time.perf_counter)
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def table(self) -> Table:
        """Return it as a terminal shows it."""
        elapsed = time.perf_counter() - self.started
        table = Table("requests", "per second", "p50 ms", "p95 ms", "p99 ms", "errors")
        cuts = quantiles(self.latencies, n=100) if len(self.latencies) > 1 else [0.0] * 99
        shown = [f"{cuts[percent - 1] * 1000:.1f}" for percent in (50, 95, 99)]
        errors = ", ".join(f"{count} × {name}" for name, count in self.errors.most_common()) or "none"
        rate = f"{len(self.latencies) / elapsed:.0f}"
        table.add_row(str(len(self.latencies)), rate, *shown, errors)
        return table


def run(settings: AuthSettings, url: str, *, duration_seconds: int, clients: int) -> bool:
    """Send mixed traffic and show a live report; return whether every request succeeded.

    Args:
        settings: Sign the token of the load's user.
        url: Base URL of the service.
        duration_seconds: 1 or more.
        clients: Concurrent requests, 1 or more.

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
                    group.create_task(_visit(client, deadline, report))


async def _visit(client: httpx.AsyncClient, deadline: float, report: _Report) -> None:
    """Be one client until the deadline. It changes and deletes only tasks of its own."""
    own: list[int] = []
    while time.perf_counter() < deadline:
        (action,) = random.choices([*_MIX], weights=[*_MIX.values()])  # noqa: S311 - traffic, no secret
        if action != "list" and not own:
            action = "create"
        started = time.perf_counter()
        try:
            answer = await _act(client, action, own)
        except httpx.HTTPError as error:
            report.errors[type(error).__name__] += 1
            await asyncio.sleep(0.1)  # a service that is away must not make this a busy loop
            continue
        report.latencies.append(time.perf_counter() - started)
        if answer.is_error:
            report.errors[str(answer.status_code)] += 1
        elif action == "create":
            own.append(answer.json()["id"])


async def _act(client: httpx.AsyncClient, action: str, own: list[int]) -> httpx.Response:
    tasks = f"/api/{_USER}/tasks"
    match action:
        case "list":
            return await client.get(tasks, params={"limit": 20})
        case "create":
            return await client.post(tasks, json={"title": "Under load"})
        case "update":
            return await client.patch(f"{tasks}/{own[-1]}", json={"title": "Changed under load"})
        case "complete":
            return await client.patch(f"{tasks}/{own[-1]}/complete")
        case _:
            return await client.delete(f"{tasks}/{own.pop()}")
