"""Measures latency under half load and overload, the recovery of a worker, and the effect of a noisy user on others."""

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
from deploy.bench.report import echo, median_sample
from deploy.bench.runner import Environment
from deploy.bench.variants import Server, Variant, run_server

__all__ = ["overload"]

_BEST_CONNECTIONS = 64
"""Number of connections with the maximum throughput of a worker."""

_MAX_CONCURRENT = 200
"""The default of MAX_CONCURRENT_REQUESTS."""

_CLIENTS = 32
"""Number of clients, which pause between requests for half the load."""

_QUIET_USERS = 8
_QUIET_PAUSE_SECONDS = 0.1
_QUICK_RESPONSES = 10
_QUICK_SECONDS = 0.05


@dataclass(frozen=True)
class Observations:
    """Responses to clients that pause between requests.

    Attributes:
        milliseconds: Latency of each successful response, in order.
        statuses: Number of responses per status.
        retry_after: The distinct `Retry-After` values of rejections.
    """

    milliseconds: list[float]
    statuses: Counter[int]
    retry_after: set[str | None]

    @override
    def __str__(self) -> str:
        if not self.milliseconds:
            return f"rejections only, {dict(self.statuses)}"
        p99 = quantiles(self.milliseconds, n=100, method="inclusive")[98]
        retry_after = f", Retry-After {self.retry_after}" if self.retry_after else ""
        return f"p50 {median(self.milliseconds):.0f} ms, p99 {p99:.0f} ms, statuses {dict(self.statuses)}{retry_after}"


async def overload(environment: Environment, *, seconds: int, rounds: int) -> None:
    """Print the results of all three measurements.

    Args:
        environment: The benchmark environment.
        seconds: Duration of a sample.
        rounds: Number of samples of each.
    """
    # Each client needs a socket, here and in the server, which inherits the limit.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    await _half_load(environment, seconds, rounds)
    await _too_many_clients(environment, seconds, rounds)
    await _noisy_user(environment, seconds)


async def _half_load(environment: Environment, seconds: int, rounds: int) -> None:
    """Compare p99 with the median latency while clients pause, so that a worker is busy half of the time."""
    variant = Variant("ours")
    tokens = environment.stubs.tokens("HS256")
    full = write_script(environment.folder, "full", "mixed", tokens)
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        await measure(server, full, seconds=seconds, connections=_CLIENTS)  # the warm-up
        best = median_sample(
            [await measure(server, full, seconds=seconds, connections=_CLIENTS) for _ in range(rounds)]
        )
        # The latency is short compared with the pause.
        pause = _CLIENTS * 1000 / (best.per_second / 2)
        half = write_script(environment.folder, "half", "mixed", tokens, pause_milliseconds=pause)
        sample = median_sample(
            [await measure(server, half, seconds=seconds, connections=_CLIENTS) for _ in range(rounds)]
        )
    echo(
        f"half load: {sample.per_second:,.0f} of {best.per_second:,.0f} responses/s, p50 {sample.p50_milliseconds:.1f} ms, "
        f"p99 {sample.p99_milliseconds:.1f} ms, {sample.p99_milliseconds / sample.p50_milliseconds:.1f} times as much"
    )


async def _too_many_clients(environment: Environment, seconds: int, rounds: int) -> None:
    """Compare the maximum throughput with that of 5 and 15 times MAX_CONCURRENT_REQUESTS clients."""
    variant = Variant("ours")
    tokens = environment.stubs.tokens("HS256")
    script = write_script(environment.folder, "overload", "mixed", tokens)
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        await measure(server, script, seconds=seconds, connections=_BEST_CONNECTIONS)  # the warm-up
        for times in (5, 15):
            clients = times * _MAX_CONCURRENT
            ratios, rejected, recoveries = [], [], []
            for _ in range(rounds):
                best = await measure(server, script, seconds=seconds, connections=_BEST_CONNECTIONS)
                async with _quiet(server, {1: tokens[0]}) as quiet:
                    sample = await measure(
                        server, script, seconds=seconds, connections=clients, may_reject=True
                    )
                ended = perf_counter()
                recoveries.append(await _recovered(server, tokens[0]) - ended)
                ratios.append(sample.per_second / best.per_second)
                rejected.append(sample.rejected_per_second)
                echo(f"{clients} clients: {sample.per_second:,.0f} responses/s; one client more: {quiet}")
            echo(
                f"{clients} clients, medians: {median(ratios):.2f} of the maximum ({min(ratios):.2f} to {max(ratios):.2f}), "
                f"{median(rejected):,.0f} rejected/s, recovered {median(recoveries):.1f} s after the end",
            )


async def _recovered(server: Server, token: str) -> float:
    """Wait for ten consecutive quick responses, and return the start time of the first request."""
    quick: list[float] = []
    async with _client(server, token) as client:
        while len(quick) < _QUICK_RESPONSES:
            started = perf_counter()
            response = await client.get("/api/user-1/tasks/1")
            is_quick = response.is_success and perf_counter() - started < _QUICK_SECONDS
            quick = [*quick, started] if is_quick else []
    return quick[0]


async def _noisy_user(environment: Environment, seconds: int) -> None:
    """Compare the latency of quiet users with and without a user who sends requests on 64 connections without pause."""
    variant = Variant("ours")
    tokens = environment.stubs.tokens("HS256")
    # The script uses only the users whose tokens it has: one.
    noisy = write_script(environment.folder, "noisy", "get", tokens[-1:], first_user=USERS)
    others = {number + 1: tokens[number] for number in range(_QUIET_USERS)}
    async with run_server(variant, environment.folder, environment.variables(variant)) as server:
        for is_noisy in (False, True):
            async with _quiet(server, others) as quiet:
                if is_noisy:
                    sample = await measure(server, noisy, seconds=seconds, connections=64, may_reject=True)
                    echo(
                        f"noisy user: {sample.per_second:,.0f} responses/s, "
                        f"{sample.rejected_per_second:,.0f} rejected/s"
                    )
                else:
                    await asyncio.sleep(seconds)
            echo(f"other users {'with' if is_noisy else 'without'} the noisy user: {quiet}")


@contextlib.asynccontextmanager
async def _quiet(server: Server, tokens: dict[int, str]) -> AsyncIterator[Observations]:
    """Send requests of users, with a pause between the requests of each, until the block ends."""
    observations = Observations([], Counter(), set())

    async def send_requests(user: int, token: str) -> None:
        async with _client(server, token) as client:
            while True:
                started = perf_counter()
                response = await client.get(f"/api/user-{user}/tasks/{(user - 1) * TASKS_PER_USER + 1}")
                observations.statuses[response.status_code] += 1
                if response.status_code == HTTPStatus.OK:
                    observations.milliseconds.append((perf_counter() - started) * 1000)
                else:
                    observations.retry_after.add(response.headers.get("retry-after"))
                await asyncio.sleep(_QUIET_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as group:
        users = [group.create_task(send_requests(user, token)) for user, token in tokens.items()]
        yield observations
        for user in users:
            user.cancel()


def _client(server: Server, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )
