"""Every command and the service report a wrong database setup with its cause."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from backend.cli import main
from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.rollout import SchemaWaitTimeout, migrate_with_retry, wait_until_migrated
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_inspection import inspect_schema_at
from tests.support.database import Server
from tests.support.service import running_service, service_settings
from tests.support.tls_proxy import tls_proxy

FOREIGN = "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
FOREIGN_REVISION = "INSERT INTO alembic_version VALUES ('{}')"
REVISION = "UPDATE alembic_version SET version_num = '{}'"
ANOTHER_SCHEMA = "the schema is not that of this release: run `task-service migrate`"
LONG = 600.0
"""A patience that no test could wait for."""


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def reason_of_commands(url: str) -> str:
    """Return what `wait-for-schema` and `migrate` say, who both stop at once."""
    with pytest.raises(ConfigurationError) as wait_error:
        await wait_until_migrated(url, SCHEMA, timeout_seconds=LONG, report=pytest.fail)
    with pytest.raises(ConfigurationError) as migration:
        await migrate_with_retry(url, SCHEMA, revision="head", timeout_seconds=LONG, report=pytest.fail)
    assert str(wait_error.value) == str(migration.value)
    return str(wait_error.value)


async def answers(url: str) -> tuple[httpx.Response, httpx.Response, list[str]]:
    """Return a request's answer, that of /readyz, and the reasons in the log."""
    async with running_service(service_settings(url)) as service, service.user() as user:
        with capture_logs() as logs:
            listed = await user.request("GET")
        with capture_logs() as ready_logs:
            ready = await user.client.get("/readyz")
            await user.client.get("/readyz")
    # Once, however often the platform asks.
    assert [line["reason"] for line in ready_logs if line["event"] == "not ready"] == [ready.json()["reason"]]
    return listed, ready, [line["reason"] for line in logs if line["event"] == "database misconfigured"]


@contextlib.asynccontextmanager
async def role(server: Server, name: str, options: str) -> AsyncIterator[None]:
    await server.execute(f"CREATE ROLE {name} {options}")
    try:
        yield
    finally:
        await server.execute(f"DROP ROLE {name}")


@contextlib.asynccontextmanager
async def wrong_setup(kind: str, server: Server, url: str, folder: Path) -> AsyncIterator[str]:
    """Yield a URL that cannot work."""
    parts = urlsplit(url)
    if kind == "no such database":
        yield server.url("absent")
    elif kind == "no such role":
        yield url.replace("postgres@", "absent@")
    elif kind == "role without LOGIN":
        async with role(server, "no_login", "NOLOGIN"):
            yield url.replace("postgres@", "no_login@")
    elif kind == "role without CONNECT":
        async with role(server, "no_connect", "LOGIN"):
            await server.execute(f"REVOKE CONNECT ON DATABASE {parts.path[1:]} FROM PUBLIC")
            yield url.replace("postgres@", "no_connect@")
    elif kind == "server without TLS":
        async with plain_proxy(parse_qs(parts.query)["host"][0]) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}{parts.path}?sslmode=require"
    else:
        socket_path = Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432"
        async with tls_proxy(socket_path, folder) as port:
            # The certificate is for localhost alone.
            host = "127.0.0.1" if kind == "another host's certificate" else "localhost"
            root = folder / "server.pem"
            if kind == "unknown authority":
                root = folder / "other" / "server.pem"
                root.parent.mkdir()
                async with tls_proxy(socket_path, root.parent):
                    pass
            yield f"postgresql://postgres@{host}:{port}{parts.path}?sslmode=verify-full&sslrootcert={root}"


@contextlib.asynccontextmanager
async def plain_proxy(folder: str) -> AsyncIterator[int]:
    """Forward a port to the server's socket, where it offers no TLS."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


REASONS = {
    "no such database": 'database "absent" does not exist (SQLSTATE 3D000): create the database',
    "no such role": 'role "absent" does not exist (SQLSTATE 28000): check user, password',
    "role without LOGIN": 'role "no_login" is not permitted to log in (SQLSTATE 28000): check user',
    "role without CONNECT": "permission denied for database",
    "server without TLS": "the server does not support TLS",
    "another host's certificate": "the TLS certificate of the server is not accepted",
    "unknown authority": "the TLS certificate of the server is not accepted",
}


@pytest.mark.parametrize("kind", REASONS)
async def test_rejected_connection_is_reported_with_its_cause(
    migrated_server: tuple[Server, str], database_url: str, tmp_path: Path, kind: str
) -> None:
    async with wrong_setup(kind, migrated_server[0], database_url, tmp_path) as url:
        reason = await reason_of_commands(url)
        assert reason.startswith(REASONS[kind])
        listed, ready, logged = await answers(url)
    assert (listed.status_code, listed.json()["type"]) == (
        500,
        "urn:task-service:problem:database-misconfigured",
    )
    assert "retry-after" not in listed.headers
    assert reason not in listed.text
    assert (ready.status_code, ready.json()["reason"]) == (503, reason)
    assert logged == [reason]


@pytest.mark.parametrize("command", ["migrate", "wait-for-schema", "serve", "dev"])
def test_every_command_exits_with_2_and_one_sentence(
    migrated_server: tuple[Server, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    url = migrated_server[0].url("absent").replace("postgres@", "postgres:hunter2@")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("BETTER_AUTH_SECRET", "x" * 40)
    monkeypatch.setenv("ENVIRONMENT", "development" if command == "dev" else "production")
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setattr("sys.argv", ["task-service", command])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # `main` is for a process of its own
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert (end.value.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert said.err.startswith('task-service: database "absent" does not exist (SQLSTATE 3D000): create')
    assert "hunter2" not in said.err


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_wrong_encoding_is_rejected(migrated_server: tuple[Server, str], encoding: str) -> None:
    server, name = migrated_server[0], f"test_{encoding.lower()}"
    await server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc"
    )
    try:
        reason = await reason_of_commands(server.url(name))
        assert reason.startswith(f"the database has the encoding {encoding}, which cannot store every title")
        _, ready, _ = await answers(server.url(name))
        assert ready.json()["reason"] == reason
        assert (await inspect_schema_at(server.url(name), SCHEMA)).revision is None
    finally:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("revision", ["ae1027a6acf", SCHEMA.head_revision, "0001"])
@pytest.mark.parametrize("tables", ["", "CREATE TABLE tasks (id integer PRIMARY KEY, state text);"])
async def test_alembic_version_of_another_application_is_rejected_and_unchanged(
    empty_database_url: str, revision: str, tables: str
) -> None:
    await execute(empty_database_url, FOREIGN + tables, FOREIGN_REVISION.format(revision))
    reason = await reason_of_commands(empty_database_url)
    assert reason.startswith(f"alembic_version is at '{revision}', but the database has no table ")
    assert "give this service a database of its own" in reason
    listed, ready, _ = await answers(empty_database_url)
    assert listed.status_code == 500
    assert ready.json()["reason"] == reason
    connection = await asyncpg.connect(empty_database_url)
    assert [row[0] for row in await connection.fetch("SELECT version_num FROM alembic_version")] == [revision]
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == (
        2 if tables else 1
    )
    await connection.close()


async def test_empty_alembic_version_means_a_new_database(empty_database_url: str) -> None:
    await execute(empty_database_url, FOREIGN)
    assert "went from empty" in await migrate(empty_database_url, SCHEMA)


async def test_shared_alembic_version_is_rejected(database_url: str) -> None:
    await execute(database_url, "INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    with pytest.raises(
        ConfigurationError, match=r"also contains the revision 'ae1027a6acf'.*separate database"
    ):
        await migrate_with_retry(
            database_url, SCHEMA, revision="head", timeout_seconds=LONG, report=pytest.fail
        )
    # The service's own row is known, so what runs goes on.
    schema = await inspect_schema_at(database_url, SCHEMA)
    assert (schema.revision, schema.state, schema.defect) == (SCHEMA.head_revision, SchemaState.CURRENT, None)


async def test_database_without_tables_is_behind(empty_database_url: str) -> None:
    listed, ready, logged = await answers(empty_database_url)
    assert (listed.status_code, ready.json()["reason"]) == (
        500,
        "the database's schema is behind: run `task-service migrate`",
    )
    assert logged == ['relation "tasks" does not exist (SQLSTATE 42P01): ' + ANOTHER_SCHEMA]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("ALTER TABLE tasks DROP COLUMN description CASCADE", "no column tasks.description"),
        ("ALTER TABLE idempotency_keys RENAME COLUMN answer TO reply", "no column idempotency_keys.answer"),
        ("DROP TABLE idempotency_keys", "no table idempotency_keys"),
        ("DROP TABLE tasks", "no table tasks"),
    ],
)
@pytest.mark.parametrize("revision", [SCHEMA.head_revision, "of-a-later-release"])
async def test_dropped_table_or_column_is_named(
    database_url: str, change: str, missing: str, revision: str
) -> None:
    await execute(database_url, change, REVISION.format(revision))
    reason = await reason_of_commands(database_url)
    assert reason.startswith(f"alembic_version is at '{revision}', but the database has {missing}:")
    _, ready, _ = await answers(database_url)
    assert ready.json()["reason"] == reason


async def test_missing_column_is_logged_with_its_name(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE tasks DROP COLUMN description CASCADE")
    listed, _, logged = await answers(database_url)
    assert listed.status_code == 500
    assert logged == ["column tasks.description does not exist (SQLSTATE 42703): " + ANOTHER_SCHEMA]


async def test_commands_wait_for_a_starting_database() -> None:
    """What a server says while it starts or recovers, and what PgBouncer says before it has a server."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"postgresql://postgres@127.0.0.1:{server.sockets[0].getsockname()[1]}/tasks?sslmode=disable"
        for waiting in (
            wait_until_migrated(url, SCHEMA, timeout_seconds=0, report=pytest.fail),
            migrate_with_retry(url, SCHEMA, revision="head", timeout_seconds=0, report=pytest.fail),
        ):
            with pytest.raises(SchemaWaitTimeout, match="does not answer \\(CannotConnectNowError\\)"):
                await waiting
        listed, ready, _ = await answers(url)
    assert (listed.status_code, listed.headers["retry-after"]) == (503, "2")
    assert ready.json()["reason"] == "the database does not answer"
