"""Restores from a dump and from archived WAL, and the warning about a weak `synchronous_commit`."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from backend.db.schema import SCHEMA
from backend.devtools.cluster_layout import ClusterLayout, prepare_layout
from backend.devtools.embedded_postgres import embedded_postgres
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.schema_probe import probe_schema_at
from tests.support.database import Server
from tests.support.pages import shell_blocks
from tests.support.service import running_service, service_settings
from tests.support.waiting import poll_until, scaled

ON_CALL = Path(__file__).parents[2] / "docs" / "on-call.md"
WITHOUT_A_CLUSTER = """
set -euo pipefail
kubectl() {
  while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
  if [ $# -gt 0 ]; then shift; "$@"; fi
}
helm() { :; }
NAMESPACE=none RELEASE=none
"""
"""Runs the program of `kubectl exec` here; other commands of kubectl and helm do nothing."""


@pytest.fixture
async def owner_url(migrated_server: tuple[Server, str], database_url: str) -> AsyncIterator[str]:
    """The URL of a role as providers give it: it owns the tables, a superuser owns the extensions."""
    name = f"owner_{uuid4().hex}"
    connection = await asyncpg.connect(database_url)
    database = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"CREATE ROLE {name} LOGIN; ALTER DATABASE {database} OWNER TO {name};")
    for (table,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        await connection.execute(f"ALTER TABLE {table} OWNER TO {name}")
    yield database_url.replace("postgres@", f"{name}@")
    await connection.execute(f"REASSIGN OWNED BY {name} TO postgres; DROP OWNED BY {name}")
    await connection.close()
    await migrated_server[0].execute(f"DROP ROLE {name}")


async def test_commands_of_the_on_call_page_restore_a_dump_where_a_superuser_owns_the_extensions(
    owner_url: str, postgres_folder: Path, tmp_path: Path
) -> None:
    pod, operator = tmp_path / "pod", tmp_path / "operator"
    pod.mkdir()
    operator.mkdir()
    (pod / "database-url").write_text(owner_url)
    programs = prepare_layout(postgres_folder / "data").bin_dir

    def paste(block: str) -> None:
        script = block.replace("/tmp/", f"{pod}/")  # noqa: S108 - of the page
        script = script.replace("/etc/task-service/", f"{pod}/")
        subprocess.run(
            [shutil.which("bash") or "bash", "-c", WITHOUT_A_CLUSTER + script],
            cwd=operator,
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
            check=True,
            timeout=scaled(60),
        )

    backup, save, restore = shell_blocks(ON_CALL)["Restore a database"]
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("INSERT INTO users (id, name, email) VALUES ('ada', '', 'ada@example.com')")
        await connection.execute(
            "INSERT INTO tasks (user_id, title) SELECT 'ada', n FROM generate_series(1, 500) AS n"
        )
        await asyncio.to_thread(paste, backup)
        await connection.execute(
            "INSERT INTO users (id, name, email) VALUES ('newer', '', 'newer@example.com')"
        )
        await asyncio.to_thread(paste, save)
        await connection.execute("DROP TABLE tasks")
        await asyncio.to_thread(paste, restore)
        assert await connection.fetchval("SELECT count(*) FROM tasks WHERE user_id = 'ada'") == 500
        assert await connection.fetch("SELECT FROM users WHERE id = 'newer'") == []
        assert (
            await connection.fetchval(
                "INSERT INTO tasks (user_id, title) VALUES ('ada', 'next') RETURNING id"
            )
            > 500
        )
    finally:
        await connection.close()
    async with running_service(service_settings(owner_url)) as service, service.user("ada") as user:
        assert (await user.list(search="500"))["count"] == 1
        assert (await user.client.get("/readyz")).json() == {"status": "ready"}
    assert (operator / "before-restore.dump").stat().st_size > 0


def back_up(url: str, target: ClusterLayout) -> None:
    subprocess.run(
        [
            target.bin_dir / "pg_basebackup",
            *("--dbname", url, "--checkpoint=fast", "--wal-method=none"),
            *("--pgdata", target.data_dir),
        ],
        check=True,
        cwd="/",
        timeout=scaled(60),
        **target.subprocess_user,
    )


async def test_base_backup_and_archived_wal_restore_the_moment_before_a_drop_table(
    postgres_folder: Path,
) -> None:
    folder = postgres_folder / f"restore-{uuid4().hex[:8]}"
    archive = folder / "archive"
    restored = prepare_layout(folder / "restored")
    archive.mkdir()
    if restored.user is not None:
        os.chown(archive, restored.user.pw_uid, restored.user.pw_gid)
    archiving = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f", "fsync": "off"}
    async with embedded_postgres(folder / "server", archiving) as url:
        await migrate(url, SCHEMA)
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO users (id, name, email) VALUES ('ada', '', 'ada@example.com')")
        await asyncio.to_thread(back_up, url, restored)
        await connection.execute(
            "INSERT INTO tasks (user_id, title) SELECT 'ada', n FROM generate_series(1, 500) AS n"
        )
        moment = await connection.fetchval("SELECT clock_timestamp()::text")
        await connection.execute("DROP TABLE tasks")
        await connection.close()  # the shutdown archives the last WAL file
    (restored.data_dir / "recovery.signal").touch()
    recovery = {
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_time": moment,
        "recovery_target_action": "promote",
        "fsync": "off",
    }
    async with embedded_postgres(folder / "restored", recovery) as url:
        connection = await asyncpg.connect(url)

        async def is_promoted() -> bool:
            return not await connection.fetchval("SELECT pg_is_in_recovery()")

        await poll_until(is_promoted, 30, what="the recovery has ended")
        assert await connection.fetchval("SELECT count(*) FROM tasks") == 500
        await connection.execute("INSERT INTO tasks (user_id, title) VALUES ('ada', 'written since')")
        await connection.close()


@pytest.mark.parametrize(
    ("setting", "warned"),
    [
        ("&synchronous_commit=local", ["local"]),
        ("&options=-csynchronous_commit%3Dremote_write", ["remote_write"]),
        ("&synchronous_commit=remote_apply", []),
    ],
)
async def test_weak_synchronous_commit_is_a_warning(
    database_url: str, setting: str, warned: list[str]
) -> None:
    settings = service_settings(database_url + setting)
    async with running_service(settings) as service, service.user() as user:
        with capture_logs() as logs:
            assert (await user.client.get("/readyz")).status_code == 200
    reasons = [line["reason"] for line in logs if line["event"] == "writes are not durable"]
    assert [each.partition(":")[0] for each in reasons] == [
        f"synchronous_commit is {each}" for each in warned
    ]
    schema = await probe_schema_at(settings, SCHEMA)  # as `task-service serve` does
    assert schema is not None
    assert [schema.durability_warning] == (reasons or [None])
