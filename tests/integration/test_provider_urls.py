"""URLs as Neon publishes them, on a server that accepts TLS only."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from tests.support.service import running_service, service_settings
from tests.support.tls_proxy import SSL_REQUEST, tls_proxy

NEON = "?sslmode=require&channel_binding=require"


def parts(database_url: str) -> tuple[Path, str]:
    """Return the server's socket and the database's name."""
    url = urlsplit(database_url)
    folder = parse_qs(url.query).get("host")
    if folder is None:
        pytest.skip("the server of DATABASE_URL is not on a Unix socket")
    return Path(folder[0]) / ".s.PGSQL.5432", url.path


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_service_and_migrations_accept_the_url_unchanged(
    empty_database_url: str, tmp_path: Path, scheme: str
) -> None:
    socket_path, database = parts(empty_database_url)
    async with tls_proxy(socket_path, tmp_path) as port:
        url = f"{scheme}://postgres:p%40ss@localhost:{port}{database}{NEON}"
        assert SCHEMA.head_revision in await migrate(url, SCHEMA)
        async with running_service(service_settings(url)) as service, service.user() as user:
            task = await user.create()
            assert (await user.list())["tasks"] == [task]


async def test_verified_certificate(database_url: str, tmp_path: Path) -> None:
    socket_path, database = parts(database_url)
    async with tls_proxy(socket_path, tmp_path) as port:
        url = f"postgresql://postgres@localhost:{port}{database}?sslmode=verify-full&sslrootcert="
        async with (
            running_service(service_settings(url + str(tmp_path / "server.pem"))) as service,
            service.user() as user,
        ):
            assert (await user.list())["count"] == 0


async def test_server_without_tls_is_rejected_if_tls_is_required() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(SSL_REQUEST))
        writer.write(b"N")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"postgresql://postgres@127.0.0.1:{server.sockets[0].getsockname()[1]}/tasks{NEON}"
        async with running_service(service_settings(url)) as service, service.user() as user:
            answer = await user.request("GET")
    assert (answer.status_code, answer.json()["type"]) == (
        500,
        "urn:task-service:problem:database-misconfigured",
    )
    assert "retry-after" not in answer.headers
