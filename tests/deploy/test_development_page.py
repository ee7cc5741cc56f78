"""What docs/development.md names is there: commands, files and tests."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "development.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
FIELD = PAGE.partition("\n## Adding a field\n")[2].partition("\n## ")[0]
PATCH = "docs/examples/add-a-field.patch"
TOUCHED = re.findall(r"^\+\+\+ b/(.+)$", (ROOT / PATCH).read_text(), re.MULTILINE)
NEW = re.findall(r"^--- /dev/null\n\+\+\+ b/(.+)$", (ROOT / PATCH).read_text(), re.MULTILINE)
FILES = sorted(set(re.findall(r"`((?:backend|deploy|docs|tests|\.github)/[^`]+)`", PAGE)) - set(NEW))


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_make_knows_the_target(command: str) -> None:
    result = subprocess.run(
        [*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [line for line in COMMANDS if " task-service " in line])
def test_command_line_takes_the_options(command: str) -> None:
    arguments = shlex.split(command.partition(" task-service ")[2])
    result = CliRunner().invoke(app, [arguments[0], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    for option in arguments[1:]:
        if option.startswith("--"):
            assert option in result.output


@pytest.mark.parametrize("file", FILES)
def test_file_is_there(file: str) -> None:
    assert (ROOT / file).exists()


def test_page_names_each_file_that_a_new_field_touches() -> None:
    assert sorted(re.findall(r"`((?:backend|deploy|docs|tests)/[^` ]+)`", FIELD)) == sorted(TOUCHED)


def test_page_names_tests_that_are_there() -> None:
    migrations = (ROOT / "tests" / "integration" / "test_migrations.py").read_text()
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert named
    assert [name for name in named if f"def {name}(" not in migrations] == []
