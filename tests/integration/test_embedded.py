"""The embedded PostgreSQL starts fast, stops with its owner and keeps its data."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from backend.devtools import cluster_layout
from backend.devtools import embedded_postgres as embedded_postgres_module
from backend.devtools.embedded_postgres import embedded_postgres
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.dsn import parse_dsn
from tests.support.waiting import poll_until

OWNER = """
import asyncio, sys
from pathlib import Path
from backend.devtools.embedded_postgres import embedded_postgres
from tests.support.waiting import poll_until

async def main():
    async with embedded_postgres(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def run(url: str, sql: str) -> object:
    connection = await open_connection(parse_dsn(url), timeout_seconds=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def answers(url: str) -> bool:
    try:
        await run(url, "SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False
    return True


async def start_owner(folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    return owner, (await owner.stdout.readline()).decode().strip()


async def test_data_is_kept_over_a_restart(postgres_folder: Path) -> None:
    folder = postgres_folder / "restart"
    async with embedded_postgres(folder) as url:
        await run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not await answers(url)
    async with embedded_postgres(folder) as again:
        assert again == url
        assert await run(again, "SELECT answer FROM kept") == 42


async def test_server_stops_with_its_killed_owner_and_the_next_start_recovers(
    postgres_folder: Path,
) -> None:
    folder = postgres_folder / "killed"
    owner, url = await start_owner(folder)
    await run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    owner.send_signal(signal.SIGKILL)
    await owner.communicate()

    async def is_gone() -> bool:
        return not await answers(url)

    await poll_until(is_gone, what="the server ended with its owner")
    async with embedded_postgres(folder) as again:
        assert await run(again, "SELECT answer FROM kept") == 42


async def test_killed_server_recovers(postgres_folder: Path) -> None:
    folder = postgres_folder / "crashed"
    owner, url = await start_owner(folder)
    await run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    for process in (owner.pid, server):
        os.kill(process, signal.SIGKILL)
    await owner.communicate()
    async with embedded_postgres(folder) as again:
        assert await run(again, "SELECT answer FROM kept") == 42


async def test_second_process_uses_the_running_server_and_does_not_stop_it(postgres_folder: Path) -> None:
    folder = postgres_folder / "joined"
    owner, url = await start_owner(folder)
    async with embedded_postgres(folder) as joined:
        assert joined == url
    assert await answers(url)
    owner.terminate()
    await owner.communicate()


async def test_concurrent_starts_share_one_server(postgres_folder: Path) -> None:
    owners = await asyncio.gather(*(start_owner(postgres_folder / "together") for _ in range(3)))
    assert len({url for _, url in owners}) == 1
    assert await answers(owners[0][1])
    for owner, _ in owners:
        owner.terminate()
        await owner.communicate()


async def test_two_checkouts_have_separate_servers(postgres_folder: Path) -> None:
    async with (
        embedded_postgres(postgres_folder / "one") as one,
        embedded_postgres(postgres_folder / "two") as two,
    ):
        await run(one, "CREATE TABLE only_in_one ()")
        assert await run(two, "SELECT to_regclass('only_in_one')") is None


async def test_long_path(postgres_folder: Path) -> None:
    folder = postgres_folder / ("deep-" * 20) / ("deeper-" * 15)
    folder.mkdir(parents=True)
    async with embedded_postgres(folder) as url:
        assert await answers(url)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to switch to another user")
async def test_root_uses_another_directory_if_the_project_is_private(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = postgres_folder / "private" / "project"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    monkeypatch.setattr(cluster_layout, "_ROOT_DIR", postgres_folder / "elsewhere")
    async with embedded_postgres(folder / "data") as url:
        assert "elsewhere" in url
        await run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    async with embedded_postgres(folder / "data") as url:
        assert await run(url, "SELECT answer FROM kept") == 42
    assert folder.parent.stat().st_mode & 0o777 == 0o700


async def test_interrupted_initdb_is_repeated(postgres_folder: Path) -> None:
    folder = postgres_folder / "interrupted"
    half_made = folder / "sockets" / "initdb"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")
    (folder / "postgres").mkdir()
    async with embedded_postgres(folder) as url:
        assert await answers(url)


async def test_error_of_a_failed_start_names_the_log_file(postgres_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"see .*postgres\.log"):
        async with embedded_postgres(postgres_folder / "refused", {"shared_buffers": "nonsense"}):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to switch to another user")
async def test_server_that_does_not_answer_in_time_is_stopped(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = postgres_folder / "slow"
    with monkeypatch.context() as patch:
        patch.setattr(embedded_postgres_module, "_START_SECONDS", 0)
        with pytest.raises(ConfigurationError, match=r"does not answer; see .*postgres\.log"):
            async with embedded_postgres(folder):
                pass
    async with embedded_postgres(folder) as url:
        assert await run(url, "SELECT 1") == 1


async def test_root_with_a_strict_umask(postgres_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_layout, "_ROOT_DIR", postgres_folder / "strict-root")
    before = os.umask(0o077)
    try:
        async with embedded_postgres(postgres_folder / "strict" / "data") as url:
            assert await answers(url)
    finally:
        os.umask(before)


async def test_server_gets_no_libpq_variable(postgres_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "nowhere.invalid",
        "PGPORT": "x",
        "PGUSER": "x",
        "PGDATABASE": "x",
        "PGSSLMODE": "verify-full",
        "PGSSLNEGOTIATION": "direct",
        "PGTARGETSESSIONATTRS": "standby",
        "PGGSSLIB": "x",
        "PGPASSFILE": sys.executable,  # no text
        "PGSERVICE": "x",
        "PGSERVICEFILE": "/nowhere",
        "PGOPTIONS": "-c nonsense=1",
        "PGCLIENTENCODING": "nonsense",
        "PGDATESTYLE": "nonsense",
        "PGTZ": "nonsense",
        "PGDATA": "/nowhere",
        "LC_ALL": "xx_XX.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    async with embedded_postgres(postgres_folder / "variables") as url:
        assert await answers(url)


async def test_url_is_valid_for_any_directory_name(postgres_folder: Path) -> None:
    async with embedded_postgres(postgres_folder / "R&D 50% #?,:'\"\\$x`y`\n") as url:
        assert await answers(url)
