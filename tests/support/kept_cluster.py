"""PostgreSQL clusters whose content is expensive to write: written once, kept in `.cache/`, and copied by each run."""

import asyncio
import contextlib
import fcntl
import hashlib
import inspect
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

from backend.devtools.cluster_layout import prepare_layout
from backend.devtools.embedded_postgres import embedded_postgres

__all__ = ["kept_cluster"]

_ROOT = Path(__file__).parents[2]
_MIGRATIONS = _ROOT / "backend" / "db" / "migrations"

# The data need not survive a crash of the machine.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}
_WRITING = {
    **_SETTINGS,
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "autovacuum": "off",
}
_RUNNING = {**_SETTINGS, "max_wal_size": "256MB"}


@contextlib.asynccontextmanager
async def kept_cluster(folder: Path, fill: Callable[[str], Awaitable[object]]) -> AsyncIterator[str]:
    """Run an embedded PostgreSQL on a copy of what `fill` wrote, in this run or in one before.

    A change of the migrations, of the module of `fill` or of PostgreSQL's version writes it again.

    Args:
        folder: Where the copy lies; the user of PostgreSQL must be able to enter its parent.
        fill: Given the URL of an empty database, writes tables and rows.

    Yields:
        The URL of the database in the copy.
    """
    kept = _ROOT / ".cache" / "clusters" / f"{fill.__name__}-{_digest(fill)}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / f"{fill.__name__}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not kept.exists():
            async with embedded_postgres(folder, _WRITING) as url:
                await fill(url)
            await asyncio.to_thread(_keep, folder, kept)
        else:
            await asyncio.to_thread(_copy, kept, folder)
    async with embedded_postgres(folder, _RUNNING) as url:
        yield url


def _digest(fill: Callable[[str], Awaitable[object]]) -> str:
    module = inspect.getsourcefile(fill)
    assert module is not None
    digest = hashlib.sha256(version("embedded-postgres").encode())
    for path in (Path(__file__), Path(module), *sorted(_MIGRATIONS.rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _keep(folder: Path, kept: Path) -> None:
    """Store a stopped cluster in the layout of the older ones."""
    name = kept.name.rpartition("-")[0]
    for older in kept.parent.glob(f"{name}-*"):
        shutil.rmtree(older)
    unfinished = kept.parent / f"{name}-unfinished"
    shutil.copytree(prepare_layout(folder).data_dir, unfinished)
    unfinished.rename(kept)


def _copy(kept: Path, folder: Path) -> None:
    layout = prepare_layout(folder)
    shutil.copytree(kept, layout.data_dir, dirs_exist_ok=True)
    if layout.user is not None:
        for path in (layout.data_dir, *layout.data_dir.rglob("*")):
            os.chown(path, layout.user.pw_uid, layout.user.pw_gid)
