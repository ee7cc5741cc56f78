"""Retries of the purge, without a database and in virtual time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from unittest.mock import Mock

import asyncpg
import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.postgres import idempotency_purge
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.idempotency_purge import BATCH_SIZE, PurgeTimeout, purge
from tests.support.virtual_time import in_virtual_time

REFUSED = ConnectionRefusedError("postgresql://alice:hunter2@db")


class Steps:
    """Replaces the deletion: each attempt yields the counts of a step and raises its error, if it has one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: list[Any]) -> None:
        self.steps = list(steps)
        self.said: list[str] = []
        monkeypatch.setattr(idempotency_purge, "_delete_batches", self.delete_batches)
        monkeypatch.setattr(idempotency_purge, "time", Mock(monotonic=asyncio.get_running_loop().time))

    async def delete_batches(self, _parameters: Any) -> AsyncGenerator[int]:
        for each in self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]:
            if isinstance(each, Exception):
                raise each
            await asyncio.sleep(1)
            yield each

    async def purge(self, timeout_seconds: float = 60) -> str:
        parameters = parse_dsn("postgresql://db/tasks")
        return await purge(parameters, timeout_seconds=timeout_seconds, report=self.said.append)


@in_virtual_time
async def test_transient_failures_are_retried_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(
        monkeypatch, [REFUSED], [BATCH_SIZE, asyncpg.LockNotAvailableError("lock timeout")], [BATCH_SIZE, 7]
    )
    assert await steps.purge() == f"Deleted {2 * BATCH_SIZE + 7} expired idempotency keys in 7.0 s."
    assert steps.said == [
        "The purge was interrupted (ConnectionRefusedError) after 0 deleted keys. Retrying.",
        f"The purge was interrupted (LockNotAvailableError) after {BATCH_SIZE} deleted keys. Retrying.",
    ]


@in_virtual_time
async def test_retries_end_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, [REFUSED])
    with pytest.raises(PurgeTimeout, match=r"^Timed out\. The purge was interrupted"):
        await steps.purge(timeout_seconds=9)
    assert (len(steps.said), asyncio.get_running_loop().time()) == (4, 8)


@in_virtual_time
async def test_each_batch_renews_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, *[[BATCH_SIZE, BATCH_SIZE, BATCH_SIZE, REFUSED]] * 5, [0])
    assert (
        await steps.purge(timeout_seconds=3)
        == f"Deleted {15 * BATCH_SIZE} expired idempotency keys in 26.0 s."
    )


@in_virtual_time
async def test_permanent_failures_are_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, [asyncpg.InvalidPasswordError("wrong password")])
    with pytest.raises(ConfigurationError, match="check user, password"):
        await steps.purge()
    assert steps.said == []


@in_virtual_time
async def test_other_errors_are_not_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, [KeyError("defect")])
    with pytest.raises(KeyError):
        await steps.purge()
