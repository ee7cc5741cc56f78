"""Half the load and too much of it: how late answers are, how a worker recovers, what a noisy user costs the others."""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median, quantiles
from time import perf_counter
from typing import override

import httpx

from deploy.bench.database import TASKS_PER_USER, USERS
from deploy.bench.load import measure, write_script
from deploy.bench.report import middle, say
from deploy.bench.runner import Place
from deploy.bench.variants import Server, Variant, run_server

__all__ = ["overload"]

_BEST_CONNECTIONS = 64
"""Where a worker answers most."""

_ANSWERED_AT_ONCE = 200
"""The default of MAX_CONCURRENT_REQUESTS."""

_CLIENTS = 32
"""That make half of the load together, each with pauses."""

_QUIET_USERS = 8
_QUIET_PAUSE_SECONDS = 0.1
_QUICK_ANSWERS = 10
_QUICK_SECONDS = 0.05


@dataclass(frozen=True)
class Seen:
    """What clients saw that ask, wait for the answer, and pause.

    Attributes:
        milliseconds: Of each answer that was no refusal, in order.
        statuses: How many answers of each.
        retry_after: The different values of that header in refusals.
    """

    milliseconds: list[float]
    statuses: Counter[int]
    retry_after: set[str | None]

    @override
    def __str__(self) -> str:
        if not self.milliseconds:
            return f"no answer but refusals, {dict(self.statuses)}"
        p99 = quantiles(self.milliseconds, n=100, method="inclusive")[98]
        refused = f", Retry-After {self.retry_after}" if self.retry_after else ""
        return f"p50 {median(self.milliseconds):.0f} ms, p99 {p99:.0f} ms, statuses {dict(self.statuses)}{refused}"


async def overload(place: Place, *, seconds: int, rounds: int) -> None:
    """Print all of it.

    Args:
        place: Where to measure.
        seconds: Length of a sample.
        rounds: Samples of each.
    """
    # A socket of each client, here and in the server, which inherits it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    await _half_load(place, seconds, rounds)
    await _too_many_clients(place, seconds, rounds)
    await _noisy_user(place, seconds)


async def _half_load(place: Place, seconds: int, rounds: int) -> None:
    """Compare the slowest hundredth with the median where clients pause, so that a worker is busy for half of the time."""
    variant = Variant("ours")
    tokens = place.outside.tokens("HS256")
    full = write_script(place.folder, "full", "mixed", tokens)
    async with run_server(variant, place.folder, place.environment(variant)) as server:
        await measure(server, full, seconds=seconds, connections=_CLIENTS)  # the warm-up
        best = middle(
            [await measure(server, full, seconds=seconds, connections=_CLIENTS) for _ in range(rounds)]
        )
        pause = (
            _CLIENTS * 1000 / (best.per_second / 2)
        )  # what a client waits for its answer is little beside it
        half = write_script(place.folder, "half", "mixed", tokens, pause_milliseconds=pause)
        seen = middle(
            [await measure(server, half, seconds=seconds, connections=_CLIENTS) for _ in range(rounds)]
        )
    say(
        f"half load: {seen.per_second:,.0f} of {best.per_second:,.0f} answers/s, p50 {seen.p50_milliseconds:.1f} ms, "
        f"p99 {seen.p99_milliseconds:.1f} ms, {seen.p99_milliseconds / seen.p50_milliseconds:.1f} times as much"
    )


async def _too_many_clients(place: Place, seconds: int, rounds: int) -> None:
    """Compare the best throughput with that under 5 and 15 times as many clients as are answered at once."""
    variant = Variant("ours")
    tokens = place.outside.tokens("HS256")
    script = write_script(place.folder, "overload", "mixed", tokens)
    async with run_server(variant, place.folder, place.environment(variant)) as server:
        await measure(server, script, seconds=seconds, connections=_BEST_CONNECTIONS)  # the warm-up
        for times in (5, 15):
            clients = times * _ANSWERED_AT_ONCE
            ratios, refused, waits = [], [], []
            for _ in range(rounds):
                best = await measure(server, script, seconds=seconds, connections=_BEST_CONNECTIONS)
                async with _quiet(server, {1: tokens[0]}) as quiet:
                    sample = await measure(
                        server, script, seconds=seconds, connections=clients, may_refuse=True
                    )
                ended = perf_counter()
                waits.append(await _recovered(server, tokens[0]) - ended)
                ratios.append(sample.per_second / best.per_second)
                refused.append(sample.refused_per_second)
                say(f"{clients} clients: {sample.per_second:,.0f} answers/s; one client more: {quiet}")
            say(
                f"{clients} clients, medians: {median(ratios):.2f} of the best ({min(ratios):.2f} to {max(ratios):.2f}), "
                f"{median(refused):,.0f} refused/s, as before {median(waits):.1f} s after the end",
            )


async def _recovered(server: Server, token: str) -> float:
    """Wait for some quick answers in a row, and return when the first of them was asked for."""
    quick: list[float] = []
    async with _client(server, token) as client:
        while len(quick) < _QUICK_ANSWERS:
            started = perf_counter()
            answer = await client.get("/api/user-1/tasks/1")
            is_quick = answer.is_success and perf_counter() - started < _QUICK_SECONDS
            quick = [*quick, started] if is_quick else []
    return quick[0]


async def _noisy_user(place: Place, seconds: int) -> None:
    """Compare what quiet users see alone, and beside one who asks without a pause on 64 connections."""
    variant = Variant("ours")
    tokens = place.outside.tokens("HS256")
    # One user only: the script chooses among those whose tokens it has.
    noisy = write_script(place.folder, "noisy", "get", tokens[-1:], first_user=USERS)
    others = {number + 1: tokens[number] for number in range(_QUIET_USERS)}
    async with run_server(variant, place.folder, place.environment(variant)) as server:
        for beside in (False, True):
            async with _quiet(server, others) as quiet:
                if beside:
                    sample = await measure(server, noisy, seconds=seconds, connections=64, may_refuse=True)
                    say(
                        f"noisy user: {sample.per_second:,.0f} answers/s, "
                        f"{sample.refused_per_second:,.0f} refused/s"
                    )
                else:
                    await asyncio.sleep(seconds)
            say(f"others {'beside them' if beside else 'alone'}: {quiet}")


@contextlib.asynccontextmanager
async def _quiet(server: Server, tokens: dict[int, str]) -> AsyncIterator[Seen]:
    """Have users ask, each with a pause between requests, until the block ends."""
    seen = Seen([], Counter(), set())

    async def ask(user: int, token: str) -> None:
        async with _client(server, token) as client:
            while True:
                started = perf_counter()
                answer = await client.get(f"/api/user-{user}/tasks/{(user - 1) * TASKS_PER_USER + 1}")
                seen.statuses[answer.status_code] += 1
                if answer.status_code == HTTPStatus.OK:
                    seen.milliseconds.append((perf_counter() - started) * 1000)
                else:
                    seen.retry_after.add(answer.headers.get("retry-after"))
                await asyncio.sleep(_QUIET_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as group:
        users = [group.create_task(ask(user, token)) for user, token in tokens.items()]
        yield seen
        for user in users:
            user.cancel()


def _client(server: Server, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )
