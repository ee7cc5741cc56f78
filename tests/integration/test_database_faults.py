"""Database failures cause 503 or 504, and no write is lost or partial."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from backend.db.schema import SCHEMA
from backend.devtools.embedded_postgres import embedded_postgres
from backend.platform.observability.metrics import REGISTRY
from backend.platform.postgres.migration import migrate
from tests.support.database import UNSAFE_BUT_FAST
from tests.support.service import RunningService, User, running_service, service_settings
from tests.support.waiting import poll_until, scaled

type Connection = asyncpg.Connection[asyncpg.Record]


@contextlib.asynccontextmanager
async def service_on(url: str, **settings: object) -> AsyncIterator[tuple[RunningService, User]]:
    async with running_service(service_settings(url, **settings)) as service, service.user() as user:
        yield service, user


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    problem = answer.json()
    return (
        answer.status_code == status
        and problem["type"] == f"urn:task-service:problem:{code}"
        and answer.headers["content-type"] == "application/problem+json"
        and (status not in {503, 504} or int(answer.headers["retry-after"]) >= 1)
    )


async def test_database_outage_and_recovery_under_load(postgres_folder: Path) -> None:
    folder = postgres_folder / f"stopped-{uuid4().hex[:8]}"
    acknowledged: dict[str, set[int]] = {}
    statuses: Counter[int] = Counter()
    stop = asyncio.Event()

    async def write(user: User) -> None:
        number = 0
        while not stop.is_set():
            title = f"{user.id}-{number}"
            # What was not acknowledged is sent again, as a client would, until it is.
            answer = await user.request("POST", headers={"Idempotency-Key": title}, json={"title": title})
            statuses[answer.status_code] += 1
            if answer.status_code == 201:
                acknowledged.setdefault(title, set()).add(answer.json()["id"])
                number += 1
            read = await user.request("GET", params={"limit": 1})
            statuses[read.status_code] += 1
            if read.status_code >= 500:
                await asyncio.sleep(0.02)

    async with contextlib.AsyncExitStack() as stack:
        async with embedded_postgres(folder, UNSAFE_BUT_FAST) as url:
            await migrate(url, SCHEMA)
            service = await stack.enter_async_context(running_service(service_settings(url)))
            users = [await stack.enter_async_context(service.user()) for _ in range(4)]
            load = [asyncio.create_task(write(user)) for user in users]
            await poll_until(lambda: len(acknowledged) > len(users), what="every user has written")
        failures = REGISTRY.get_sample_value("db_client_connection_failures_total") or 0.0
        await poll_until(lambda: statuses[503] >= len(users), what="every user met the outage")
        assert is_problem(await users[0].request("GET"), 503, "database-unavailable")
        assert (REGISTRY.get_sample_value("db_client_connection_failures_total") or 0.0) > failures
        async with embedded_postgres(folder, UNSAFE_BUT_FAST):
            before = len(acknowledged)
            await poll_until(lambda: len(acknowledged) > before + len(users), what="it is written again")
            stop.set()
            await asyncio.gather(*load)
            async with connected(url) as connection:
                rows = await connection.fetch("SELECT title, array_agg(id) AS ids FROM tasks GROUP BY title")
    assert set(statuses) <= {200, 201, 503}
    stored = {row["title"]: row["ids"] for row in rows}
    for title, ids in acknowledged.items():
        assert stored[title] == list(ids), title
    # Beyond those, at most the one that each writer had under way.
    assert len(stored) <= len(acknowledged) + len(users)


async def test_reads_are_retried_after_killed_connections(database_url: str) -> None:
    async with service_on(database_url) as (_, user), connected(database_url) as connection:
        task = await user.create()
        await asyncio.gather(*(user.list() for _ in range(20)))
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert killed > 1
        answers = await asyncio.gather(*(user.request("GET", f"/{task['id']}") for _ in range(40)))
        assert Counter(answer.status_code for answer in answers) == {200: 40}


async def test_rejected_connection_is_not_retried_by_the_same_request() -> None:
    """Behind a Service without pods each refusal may take a second."""
    asked: list[object] = []

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with service_on(f"postgresql://a:b@127.0.0.1:{port}/tasks?sslmode=disable") as (_, user):
            assert is_problem(await user.request("GET"), 503, "database-unavailable")
    assert len(asked) == 1


async def test_exhausted_pool_is_reported_within_the_timeout(database_url: str) -> None:
    settings = {"database_pool_max_size": 1, "database_pool_acquire_timeout_seconds": scaled(0.1)}
    settings |= {"database_lock_timeout_seconds": 60, "database_statement_timeout_seconds": 60}
    async with service_on(database_url, **settings) as (_, user), connected(database_url) as connection:
        task = await user.create()
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
        waiting = asyncio.create_task(user.request("PATCH", f"/{task['id']}/complete"))
        await until_waiting_for_a_lock(database_url)
        assert is_problem(await user.request("GET"), 503, "database-unavailable")
        assert not waiting.done()
        await transaction.rollback()
        assert (await waiting).json()["completed"] is True
        assert (await user.list())["count"] == 1


async def until_waiting_for_a_lock(url: str, sessions: int = 1) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with connected(url) as connection:

        async def wait() -> bool:
            return bool(await connection.fetchval(waiting) >= sessions)

        await poll_until(wait, what=f"{sessions} sessions wait for a lock")


@pytest.mark.parametrize("limit", ["database_lock_timeout_seconds", "database_statement_timeout_seconds"])
async def test_statement_over_its_time_limit_is_cancelled(database_url: str, limit: str) -> None:
    settings = {"database_pool_max_size": 1, limit: scaled(0.1)}
    async with service_on(database_url, **settings) as (_, user), connected(database_url) as connection:
        task = await user.create()
        async with connection.transaction():
            await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
            answer = await user.request("PATCH", f"/{task['id']}/complete")
            assert is_problem(answer, 504, "database-timeout")
            # The one connection is good again at once, and nothing was written.
            assert (await user.request("GET", f"/{task['id']}")).json() == task


async def test_single_deadlock_causes_no_error(database_url: str) -> None:
    """A trigger makes two updates lock each other's row; the one that PostgreSQL ends is run again."""
    async with service_on(database_url) as (_, user), connected(database_url) as connection:
        first, second = await user.create("First"), await user.create("Second")
        await connection.execute(
            f"""
            CREATE FUNCTION lock_the_other() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_sleep(0.1);
                PERFORM FROM tasks WHERE id = {first["id"]} + {second["id"]} - NEW.id FOR UPDATE;
                RETURN NEW;
            END $$;
            CREATE TRIGGER lock_the_other AFTER UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION lock_the_other();
            """
        )
        answers = await asyncio.gather(
            *(user.request("PATCH", f"/{task['id']}/complete") for task in (first, second))
        )
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all(task["completed"] for task in (await user.list())["tasks"])


async def test_repeated_conflict_is_409(database_url: str) -> None:
    async with service_on(database_url) as (_, user), connected(database_url) as connection:
        task = await user.create()
        await connection.execute(
            """
            CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'again and again' USING ERRCODE = 'serialization_failure'; END $$;
            CREATE TRIGGER conflict BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION conflict();
            """
        )
        answer = await user.request("PATCH", f"/{task['id']}/complete")
        assert is_problem(answer, 409, "concurrent-update")
        assert (await user.request("GET", f"/{task['id']}")).json() == task


async def test_full_server_is_unavailable(database_url: str) -> None:
    async with connected(database_url) as connection:
        name = urlsplit(database_url).path[1:]
        await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 1")
        await connection.execute(
            "CREATE ROLE newcomer LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO newcomer"
        )
        try:
            url = database_url.replace("postgres@", "newcomer@")
            async with service_on(url) as (_, user):
                assert is_problem(await user.request("GET"), 503, "database-unavailable")
        finally:
            await connection.execute("DROP OWNED BY newcomer; DROP ROLE newcomer")


async def test_silent_connection_is_replaced(database_url: str) -> None:
    """A firewall that drops packets: no reset ever comes."""
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    forwarding = asyncio.Event()
    forwarding.set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                if flows.is_set():
                    writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Connections made while nothing is forwarded are good: the way round the dead ones.
        flows = forwarding if forwarding.is_set() else asyncio.Event()
        flows.set()
        server_reader, server_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(copy(reader, server_writer, flows), copy(server_reader, writer, flows))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://postgres@127.0.0.1:{port}{urlsplit(database_url).path}?sslmode=disable"
        settings = {"database_pool_max_size": 1, "database_statement_timeout_seconds": scaled(0.1)}
        async with service_on(url, **settings) as (_, user):
            task = await user.create()
            forwarding.clear()
            answer = await user.request("GET", f"/{task['id']}")
            assert is_problem(answer, 504, "database-timeout")
            assert (await user.request("GET", f"/{task['id']}")).json() == task
        server.close()


async def test_failed_commit_is_never_a_201(database_url: str) -> None:
    """A deferred check fails at COMMIT: an answer sent before it would be a lie."""
    async with service_on(database_url) as (_, user), connected(database_url) as connection:
        await user.create("Registers the user")
        await connection.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not at commit' USING ERRCODE = 'serialization_failure'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION refuse();
            """
        )
        answer = await user.request("POST", headers={"Idempotency-Key": "k"}, json={"title": "Never"})
        assert is_problem(answer, 409, "concurrent-update")
        assert (await user.list())["count"] == 1
        await connection.execute("DROP TRIGGER refuse ON tasks")
        answer = await user.request("POST", headers={"Idempotency-Key": "k"}, json={"title": "Never"})
        assert answer.status_code == 201


async def test_disconnected_client_leaves_the_database_connection_clean(database_url: str) -> None:
    settings = {"database_pool_max_size": 1}
    async with service_on(database_url, **settings) as (_, user), connected(database_url) as connection:
        task = await user.create()
        async with connection.transaction():
            await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
            waiting = asyncio.create_task(user.request("PATCH", f"/{task['id']}/complete"))
            await until_waiting_for_a_lock(database_url)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        async def is_served() -> bool:
            return (await user.request("GET", f"/{task['id']}")).status_code == 200

        await poll_until(is_served, what="the one connection serves again")
