"""The parameters of a URL take effect on the service's connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest

from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.database import Database
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.error_translation import Outcome, classify
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.statement import Connection
from tests.support.service import running_service, service_settings
from tests.support.tls_proxy import tls_proxy


def parts(database_url: str) -> tuple[str, str]:
    """Return the folder of the server's socket and the database's path."""
    url = urlsplit(database_url)
    folder = parse_qs(url.query).get("host")
    if folder is None:
        pytest.skip("the server of DATABASE_URL is not on a Unix socket")
    return folder[0], url.path


async def shown(url: str, name: str, **settings: object) -> str:
    """Return a setting of PostgreSQL as the service's transactions have it."""

    async def show(connection: Connection) -> str:
        value: str = (await connection.fetch(f"SHOW {name}"))[0][0]
        return value

    database = Database(service_settings(url, **settings))
    await database.start()
    try:
        return await database.transaction(show)
    finally:
        await database.stop()


@asynccontextmanager
async def silent_listener() -> AsyncIterator[int]:
    """Accept connections and never answer."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "query",
    [
        "connect_timeout=15",
        "connect_timeout=0",
        "keepalives_idle=30&keepalives=1&tcp_user_timeout=1000&sslsni=1&load_balance_hosts=random&gssencmode=prefer",
        "connection_limit=5&pool_timeout=10&schema=public&supa=base-pooler.x&pool_max_conns=4&client_encoding=LATIN1",
        "target_session_attrs=read-write",
        "pgbouncer=true",
    ],
)
async def test_service_works_with(database_url: str, query: str) -> None:
    async with (
        running_service(service_settings(f"{database_url}&{query}")) as service,
        service.user() as user,
    ):
        task = await user.create("Buy milk ✓")
        assert (await user.list())["tasks"] == [task]


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("application_name=web", "application_name", "web"),
        ("fallback_application_name=web", "application_name", "web"),
        ("", "statement_timeout", "5s"),
        ("statement_timeout=1234", "statement_timeout", "1234ms"),
        ("options=-c%20statement_timeout%3D1234", "statement_timeout", "1234ms"),
        ("options=--search_path%3Dpublic,pg_catalog", "search_path", "public,pg_catalog"),
        ("search_path=public,pg_catalog", "search_path", "public,pg_catalog"),
        ("options=-c%20my.a%3Db%5C%20c", "my.a", "b c"),
        ("my.a=it's%20%5C", "my.a", "it's \\"),
    ],
)
@pytest.mark.parametrize("pooler", ["none", "session", "transaction"])
async def test_settings_of_the_url_take_effect(
    database_url: str, pooler: str, query: str, name: str, value: str
) -> None:
    assert await shown(f"{database_url}&{query}", name, database_pooler=pooler) == value


async def test_missing_standby_is_503(database_url: str) -> None:
    async with (
        running_service(service_settings(f"{database_url}&target_session_attrs=standby")) as service,
        service.user() as user,
    ):
        assert (await user.request("GET")).status_code == 503
    connection = await open_connection(
        parse_dsn(f"{database_url}&target_session_attrs=prefer-standby"), timeout_seconds=60
    )
    await connection.close()


async def test_several_hosts_are_tried_in_order(database_url: str) -> None:
    folder, path = parts(database_url)
    url = f"postgresql://postgres@127.0.0.1:9,{quote(folder, safe='')}{path}"
    assert SCHEMA.head_revision in await migrate(url, SCHEMA)
    async with running_service(service_settings(url)) as service, service.user() as user:
        await user.create()


@pytest.mark.parametrize("query", ["", "?connect_timeout=1"])
async def test_silent_host_leaves_time_for_the_next(database_url: str, query: str) -> None:
    folder, path = parts(database_url)
    async with silent_listener() as port:
        url = f"postgresql://postgres@127.0.0.1:{port},{quote(folder, safe='')}{path}{query}"
        settings = service_settings(url, database_pool_acquire_timeout_seconds=2)
        async with running_service(settings) as service, service.user() as user:
            await user.create()


async def test_connect_timeout_ends_the_wait_for_a_silent_server() -> None:
    async with silent_listener() as port:
        parameters = parse_dsn(f"postgresql://postgres@127.0.0.1:{port}/tasks?connect_timeout=1")
        with pytest.raises(TimeoutError):
            await open_connection(parameters, timeout_seconds=3600)  # the test's own limit is shorter


async def test_connect_timeout_may_exceed_the_acquire_timeout(database_url: str) -> None:
    """A database that sleeps needs seconds to wake."""
    folder, path = parts(database_url)
    may_answer = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        server_reader, server_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://postgres@127.0.0.1:{port}{path}?sslmode=disable&connect_timeout=60"
        settings = service_settings(url, database_pool_acquire_timeout_seconds=0.1)
        async with running_service(settings) as service, service.user() as user:
            asyncio.get_running_loop().call_later(0.5, may_answer.set)
            await user.create()


async def test_certificate_is_verified_for_the_host_name_not_for_hostaddr(
    database_url: str, tmp_path: Path
) -> None:
    folder, path = parts(database_url)
    async with tls_proxy(Path(folder) / ".s.PGSQL.5432", tmp_path) as port:
        verified = f"hostaddr=127.0.0.1&port={port}&sslmode=verify-full&sslrootcert={tmp_path}/server.pem"
        connection = await open_connection(
            parse_dsn(f"postgresql://postgres@localhost{path}?{verified}"), timeout_seconds=60
        )
        await connection.close()
        with pytest.raises(OSError, match="certificate"):
            await open_connection(
                parse_dsn(f"postgresql://postgres@elsewhere{path}?{verified}"), timeout_seconds=60
            )


async def test_modes_with_a_root_certificate(database_url: str, tmp_path: Path) -> None:
    folder, path = parts(database_url)
    (tmp_path / "server").mkdir()
    (tmp_path / "other").mkdir()
    async with (
        tls_proxy(Path(folder) / ".s.PGSQL.5432", tmp_path / "server") as port,
        tls_proxy(Path(folder) / ".s.PGSQL.5432", tmp_path / "other"),
    ):

        async def connects(query: str) -> bool:
            address = parse_dsn(f"postgresql://postgres@127.0.0.1:{port}{path}?{query}")
            try:
                connection = await open_connection(address, timeout_seconds=60)
            except OSError:
                return False
            await connection.close()
            return True

        right, wrong = tmp_path / "server" / "server.pem", tmp_path / "other" / "server.pem"
        assert await connects("sslmode=require")
        assert await connects("sslmode=prefer")
        assert await connects(f"sslmode=prefer&sslcert={right}&sslkey={right}")
        assert await connects(f"sslmode=require&sslrootcert={right}")
        assert await connects(f"sslmode=verify-ca&sslrootcert={right}")
        assert not await connects(f"sslmode=verify-full&sslrootcert={right}")  # its name is localhost
        assert not await connects(f"sslmode=require&sslrootcert={wrong}")
        assert not await connects(f"sslmode=verify-ca&sslrootcert={wrong}")


async def test_known_settings_match_pg_settings(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT name FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend')"
    )
    await connection.close()
    for row in rows:
        parse_dsn(f"postgresql://db/tasks?{row['name']}=1")
    with pytest.raises(ConfigurationError, match="shared_buffers is neither"):  # no session can set it
        parse_dsn("postgresql://db/tasks?shared_buffers=1")


@pytest.mark.parametrize(("mode", "outcome"), [("prefer", Outcome.TRANSIENT), ("require", Outcome.PERMANENT)])
async def test_broken_tls_negotiation_is_permanent_only_if_tls_is_required(
    mode: str, outcome: Outcome
) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"X")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://alice@127.0.0.1:{port}/tasks?sslmode={mode}"
        with pytest.raises(ConnectionError) as raised:
            await open_connection(parse_dsn(url), timeout_seconds=20)
    assert classify(raised.value) is outcome
