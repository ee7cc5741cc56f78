"""The commands that a platform runs inside the container."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.platform.server import drain, healthcheck
from backend.platform.settings import environment


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a command and returns what it says against it, or an empty text."""

    def run(main: Callable[[], None], *arguments: str, env_file: str = "", **variables: str) -> str:
        (tmp_path / ".env").write_text(env_file)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(environment, "ENV_FILE", Path(".env"))
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        said: list[object] = []
        try:
            main()
        except SystemExit as end:  # a text goes to standard error, with exit code 1
            said.append(end.code)
        assert all(isinstance(each, str) and len(each.splitlines()) == 1 for each in said)
        return "".join(map(str, said))

    return run


def test_draining_reads_the_folder_from_the_env_file(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "run").mkdir()
    assert refusal(drain.main, "0", env_file=" run_dir = 'run' \n") == ""
    assert drain.drain_marker_path(tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("PORT=x", "healthcheck: PORT: must be a port number from 0 to 65535"),
        ("PORT=0", "healthcheck: PORT=0 takes any free port"),
        ("PORT='\"80\"'", "healthcheck: PORT is enclosed in quotation marks"),
    ],
)
def test_a_probe_says_which_variable_is_impossible(
    refusal: Callable[..., str], lines: str, reason: str
) -> None:
    assert refusal(healthcheck.main, env_file=lines).startswith(reason)


@pytest.mark.parametrize(
    ("seconds", "folder", "reason"),
    [
        ("soon", "", "drain: 'soon' is no number of seconds"),
        ("nan", "", "is no number of seconds"),
        ("0", "missing", "is RUN_DIR right?"),
    ],
)
def test_draining_says_why_it_cannot(
    tmp_path: Path, refusal: Callable[..., str], seconds: str, folder: str, reason: str
) -> None:
    assert reason in refusal(drain.main, seconds, RUN_DIR=str(tmp_path / folder))
