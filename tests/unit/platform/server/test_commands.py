"""Commands that the platform runs in the container: drain and health check."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.platform.server import drain, healthcheck
from backend.platform.settings import environment


@pytest.fixture
def error_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a command and returns its error message, or an empty text."""

    def run(main: Callable[[], None], *arguments: str, env_file: str = "", **variables: str) -> str:
        (tmp_path / ".env").write_text(env_file)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(environment, "ENV_FILE", Path(".env"))
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        messages: list[object] = []
        try:
            main()
        except SystemExit as end:  # its text goes to standard error, and the exit code is 1
            messages.append(end.code)
        assert all(isinstance(each, str) and len(each.splitlines()) == 1 for each in messages)
        return "".join(map(str, messages))

    return run


def test_drain_reads_the_run_directory_from_the_env_file(
    tmp_path: Path, error_of: Callable[..., str]
) -> None:
    (tmp_path / "run").mkdir()
    assert error_of(drain.main, "0", env_file=" run_dir = 'run' \n") == ""
    assert drain.drain_marker_path(tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("PORT=x", "healthcheck: PORT: must be a port number from 0 to 65535"),
        ("PORT=0", "healthcheck: PORT=0 takes any free port"),
        ("PORT='\"80\"'", "healthcheck: PORT is enclosed in quotation marks"),
    ],
)
def test_health_check_names_the_invalid_variable(
    error_of: Callable[..., str], lines: str, reason: str
) -> None:
    assert error_of(healthcheck.main, env_file=lines).startswith(reason)


@pytest.mark.parametrize(
    ("seconds", "folder", "reason"),
    [
        ("soon", "", "drain: 'soon' is not a number of seconds"),
        ("nan", "", "is not a number of seconds"),
        ("0", "missing", "is RUN_DIR right?"),
    ],
)
def test_drain_reports_why_it_fails(
    tmp_path: Path, error_of: Callable[..., str], seconds: str, folder: str, reason: str
) -> None:
    assert reason in error_of(drain.main, seconds, RUN_DIR=str(tmp_path / folder))
