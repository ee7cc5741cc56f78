"""A standby becomes the primary: no acknowledged write is lost or duplicated, and the service finds the new primary."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from backend.devtools.embedded_postgres import DATABASE, server_url
from tests.support.database_proxy import database_proxy
from tests.support.keyed_load import KeyedLoad, keyed_load
from tests.support.load import recovery
from tests.support.pgbouncer import pgbouncer
from tests.support.replication import Pair, Server
from tests.support.service import running_service, service_settings
from tests.support.waiting import poll_until

ALL_TITLES = "SELECT coalesce(array_agg(title), '{}') FROM tasks"
LIMITS = {"database_statement_timeout_seconds": 1, "database_pool_max_size": 4}
RESUME_SECONDS = float(os.environ.get("RESUME_SECONDS", "0"))
"""Measured with 5, a usual cold start."""
HOW = pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGINT, signal.SIGSTOP], ids=lambda how: how.name
)
"""A crash of the primary, a planned switchover, a primary that stops responding."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose connections are accepted by the kernel, but never get a byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class Name:
    """A name whose address changes: a symbolic link to the directory of a server's socket."""

    def __init__(self, path: Path, server: Server) -> None:
        self.path = path
        self.url = server_url(path, DATABASE)
        path.symlink_to(server.socket_dir)

    def move(self, server: Server) -> None:
        """Let the name lead to another server."""
        temporary = self.path.with_name(uuid4().hex)
        temporary.symlink_to(server.socket_dir)
        temporary.replace(self.path)


async def until_more_is_written(load: KeyedLoad) -> None:
    before = len(load.ids)
    await poll_until(lambda: len(load.ids) > before + 20, 60, what="writes are acknowledged")


@HOW
async def test_failover_behind_a_list_of_hosts(pair: Pair, how: signal.Signals) -> None:
    hosts = ",".join(map(str, pair.hosts))
    await fail_over_under_load(pair, f"postgresql://postgres@/{DATABASE}?host={hosts}", how)


async def test_failover_behind_a_list_that_begins_with_a_silent_host(pair: Pair, silent_port: int) -> None:
    hosts = ",".join(["127.0.0.1", *map(str, pair.hosts)])
    url = f"postgresql://postgres@/{DATABASE}?host={hosts}&port={silent_port},5432,5432&sslmode=disable"
    await fail_over_under_load(pair, url, signal.SIGKILL)


@HOW
async def test_failover_behind_haproxy(pair: Pair, tmp_path: Path, how: signal.Signals) -> None:
    async with database_proxy(pair.hosts, tmp_path) as url:
        await fail_over_under_load(pair, url, how)


# Not of a suspended primary: PgBouncer 1.18 waits without a time limit for the response to its cancel requests.
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
async def test_failover_behind_a_pooler(pair: Pair, postgres_folder: Path, how: signal.Signals) -> None:
    name = Name(postgres_folder / uuid4().hex, pair.primary)
    async with pgbouncer(name.url) as url:
        await fail_over_under_load(pair, f"{url}&pgbouncer=true", how, name)


@HOW
async def test_failover_behind_a_pooler_and_haproxy(
    pair: Pair, postgres_folder: Path, how: signal.Signals
) -> None:
    folder = postgres_folder / uuid4().hex[:8]
    folder.mkdir()
    async with database_proxy(pair.hosts, folder), pgbouncer(server_url(folder, DATABASE)) as url:
        await fail_over_under_load(pair, f"{url}&pgbouncer=true", how)


async def fail_over_under_load(pair: Pair, url: str, how: signal.Signals, name: Name | None = None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(running_service(service_settings(url, **LIMITS)))
        users = [await stack.enter_async_context(service.user()) for _ in range(4)]
        async with keyed_load(users) as load:
            await until_more_is_written(load)
            rejected = load.statuses[503]
            await pair.fail_primary(how)
            # Of a suspended primary, this is when the connections that wait for it are closed.
            await poll_until(lambda: load.statuses[503] > rejected, what="a request gets no connection")
            await pair.standby.promote()
            promoted = time.time()
            if name is not None:
                name.move(pair.standby)
            await until_more_is_written(load)
    print(f"{recovery(load.answers, promoted)}; {dict(load.statuses)}")
    assert load.lost_and_duplicated(await pair.standby.query(ALL_TITLES)) == (set(), set())
    # 409: the first request with the key still runs.
    assert set(load.statuses) <= {200, 201, 409, 503, 504}
    assert all(answer.has_retry_after for answer in load.answers if answer.status >= 400)


@pytest.mark.parametrize("query", ["", "&target_session_attrs=any"])
async def test_connection_to_a_standby_is_not_kept(pair: Pair, tmp_path: Path, query: str) -> None:
    """The name leads to a standby for a while, as an outdated DNS record does."""
    name = Name(tmp_path / "name", pair.standby)
    settings = service_settings(name.url + query, database_pool_max_size=1)
    async with running_service(settings) as service, service.user() as user:
        assert (await user.request("GET")).status_code == (200 if query else 503)
        for headers in ({}, {"Idempotency-Key": "key"}):
            rejected = await user.request("POST", headers=headers, json={"title": "Rejected"})
            assert rejected.status_code == 503
        name.move(pair.primary)
        await user.create("Accepted")
    assert await pair.primary.query(ALL_TITLES) == ["Accepted"]


async def test_request_waits_for_a_database_that_resumes(database_url: str) -> None:
    """A provider's proxy accepts the connection at once, and forwards it when the database runs."""
    directory = parse_qs(urlsplit(database_url).query)["host"][0]
    asked, resumed = asyncio.Event(), asyncio.Event()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await resumed.wait()
        path = f"{directory}/.s.PGSQL.5432"
        server_reader, server_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        url = f"postgresql://postgres@127.0.0.1:{port}{urlsplit(database_url).path}?sslmode=disable"
        patient = service_settings(url, database_pool_acquire_timeout_seconds=60)
        impatient = service_settings(url, database_pool_acquire_timeout_seconds=0.1)
        async with (
            running_service(patient) as first,
            running_service(impatient) as second,
            first.user() as waiting,
            second.user() as failing,
        ):
            request = asyncio.create_task(waiting.request("GET"))
            await asked.wait()
            assert (await failing.request("GET")).status_code == 503
            await asyncio.sleep(RESUME_SECONDS)
            resumed.set()
            response = await request
    print(
        f"resumed after {RESUME_SECONDS:.0f} s: {response.status_code} after {response.elapsed.total_seconds():.1f} s"
    )
    assert response.status_code == 200
