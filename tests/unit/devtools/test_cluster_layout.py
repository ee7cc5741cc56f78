"""Directories of the embedded PostgreSQL: which ones are used, and which are refused."""

import os
from pathlib import Path

import pytest

from backend.devtools import cluster_layout
from backend.devtools.cluster_layout import prepare_layout
from backend.devtools.embedded_postgres import _environment, embedded_postgres, server_url
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.dsn import parse_dsn


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stand-ins of the installed programs; as root, the server's user may enter every directory."""
    package = tmp_path / "site" / "embedded_postgres"
    (package / "pginstall" / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    program = package / "pginstall" / "bin" / "postgres"
    program.touch(mode=0o700)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(cluster_layout, "_can_enter", lambda _path, _user: True)
    short = tmp_path / "short"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    return package


def test_directories_are_inside_the_data_directory_and_private(tmp_path: Path, programs: Path) -> None:
    layout = prepare_layout(tmp_path / "data")
    assert (layout.data_dir, layout.socket_dir) == (tmp_path / "data/postgres", tmp_path / "data/sockets")
    assert layout.bin_dir == programs / "pginstall" / "bin"
    for directory in (layout.data_dir, layout.socket_dir):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert prepare_layout(tmp_path / "data") == layout  # the second start finds the same cluster


@pytest.mark.parametrize("name", ["deep-" * 20, "R&D 50%", "a,b", "x`y`", "line\nbreak", "ä"])
def test_socket_of_a_long_or_unusual_path_is_in_a_short_directory(tmp_path: Path, name: str) -> None:
    layout = prepare_layout(tmp_path / name)
    assert layout.data_dir == tmp_path / name / "postgres"
    assert layout.socket_dir.parent.parent == tmp_path / "short"
    in_tmp = Path("/tmp") / layout.socket_dir.relative_to(tmp_path / "short")  # noqa: S108 - a usual TMPDIR
    assert len(bytes(in_tmp / ".s.PGSQL.5432")) <= 100
    (host,) = parse_dsn(server_url(in_tmp)).hosts
    assert (host.address, host.is_socket) == (str(in_tmp), True)
    assert layout.socket_dir.parent.stat().st_mode & 0o777 == 0o700
    # Another project has another socket.
    assert prepare_layout(tmp_path / f"{name}2").socket_dir != layout.socket_dir


def test_programs_in_an_unusual_path_are_copied(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unusual = tmp_path / "a b"
    programs.parent.rename(unusual)
    monkeypatch.syspath_prepend(unusual)
    (unusual / "embedded_postgres.libs").mkdir()
    (unusual / "embedded_postgres.libs" / "libpq.so").touch(mode=0o600)
    layout = prepare_layout(tmp_path / "data")
    assert " " not in str(layout.bin_dir)
    # Every user may run the copies, whatever the umask of the installation was.
    assert (layout.bin_dir / "postgres").stat().st_mode & 0o777 == 0o755
    (library,) = layout.bin_dir.parents[2].glob("embedded_postgres.libs/*")
    assert library.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to switch to another user")
def test_root_leaves_a_private_project_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_layout, "_can_enter", lambda _path, _user: False)
    monkeypatch.setattr(cluster_layout, "_ROOT_DIR", tmp_path / "var")
    project = tmp_path / "project"
    project.mkdir(mode=0o700)
    layout = prepare_layout(project / "data")
    assert layout.data_dir.is_relative_to(tmp_path / "var")
    assert layout.user is not None
    assert (layout.data_dir.stat().st_uid, project.stat().st_mode & 0o777) == (layout.user.pw_uid, 0o700)
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o711


def test_missing_programs_are_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_layout, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match="set DATABASE_URL, or install"):
        prepare_layout(tmp_path / "data")


def test_missing_user_for_the_server_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(cluster_layout, "_UNPRIVILEGED_USER", "no-such-user")
    with pytest.raises(ConfigurationError, match=r"refuses to run as root .* 'no-such-user'"):
        prepare_layout(tmp_path / "data")


async def test_file_in_place_of_a_directory_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for data_dir in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(ConfigurationError, match="DATA_DIR") as refusal:
            async with embedded_postgres(data_dir):
                pass
        assert "\n" not in str(refusal.value)


def test_symbolic_link_to_another_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "postgres").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="is not a directory"):
        prepare_layout(tmp_path / "data")
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


def test_directory_of_another_user_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)  # the directory belongs to the user of the test
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        prepare_layout(tmp_path / "data")


def test_server_gets_no_libpq_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGDATA", "PGOPTIONS", "LC_ALL", "KEPT"):
        monkeypatch.setenv(name, "x")
    environment = _environment()
    assert (environment["LC_ALL"], environment["KEPT"]) == ("C", "x")
    assert [name for name in environment if name.startswith("PG")] == []
