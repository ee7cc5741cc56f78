"""A standby becomes the primary under load: the release finds it by the same name, and no acknowledged write is lost."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import discard
from tests.support.cluster import Namespace, wait_until
from tests.support.load import recovery
from tests.support.replicated import ReplicatedDatabase

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(600)]

SETTINGS = ("replicas=2", "config.DATABASE_POOL_ACQUIRE_TIMEOUT_SECONDS=1.5")
"""The defaults of the chart, which `Namespace.options` replaces."""


@pytest.fixture(scope="module")
def database(namespace: Namespace) -> ReplicatedDatabase:
    return ReplicatedDatabase(namespace)


@pytest.fixture
def release(namespace: Namespace) -> Iterator[str]:
    yield "demo"
    discard(namespace, "demo")


def until_more_is_stored(database: ReplicatedDatabase) -> None:
    def count() -> int:
        return int(database.sql("SELECT count(*) FROM tasks")[0])

    before = count()
    wait_until(lambda: count() > before + 100, 60, what="writes are stored")


@pytest.mark.parametrize(
    ("service", "signal"), [("database-rw", "KILL"), ("database-rw", "INT"), ("database-headless", "KILL")]
)
async def test_failover_loses_no_acknowledged_write(
    namespace: Namespace, database: ReplicatedDatabase, release: str, service: str, signal: str
) -> None:
    """SIGKILL is a crash, SIGINT a planned switchover. A headless Service moves by its DNS record only."""
    namespace.secret("database", url=database.url(service))
    await asyncio.to_thread(namespace.upgrade, release, *SETTINGS)
    standby = await asyncio.to_thread(database.add_standby)
    async with namespace.load(release) as load:
        await asyncio.to_thread(until_more_is_stored, database)
        await asyncio.to_thread(database.end_primary, signal)
        promoted = await asyncio.to_thread(database.promote, standby)
        await asyncio.to_thread(until_more_is_stored, database)
        seen = await load.end()
    print(f"{service}, SIG{signal}: {recovery(seen.answers, promoted)}; {seen.figures()}")
    assert seen.lost == []
    assert set(seen.statuses) <= {200, 201, 503, 504}
    assert all(answer.has_retry_after for answer in seen.answers if answer.status >= 400)
    namespace.assert_stored_once(seen, server=f"pod/{database.primary}")
