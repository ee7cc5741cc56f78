"""What docs/development.md names is there: commands, files and tests."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import app
from tests.support.pages import shell_blocks, touched_files

ROOT = Path(__file__).parents[2]
DEVELOPMENT = ROOT / "docs" / "development.md"
PAGE = DEVELOPMENT.read_text()
COMMANDS = [
    line for blocks in shell_blocks(DEVELOPMENT).values() for block in blocks for line in block.splitlines()
]
FIELD_PATCH = ROOT / "docs" / "examples" / "add-a-field.patch"
RESOURCE_PATCH = ROOT / "docs" / "examples" / "add-a-resource.patch"


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def new_files(patch: Path) -> set[str]:
    return set(re.findall(r"^--- /dev/null\n\+\+\+ b/(.+)$", patch.read_text(), re.MULTILINE))


FILES = sorted(
    set(re.findall(r"`((?:backend|deploy|docs|tests|\.github)/[^`]+)`", PAGE))
    - new_files(FIELD_PATCH)
    - new_files(RESOURCE_PATCH)
)


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


@pytest.mark.parametrize(
    ("heading", "patch"), [("Adding a field", FIELD_PATCH), ("Adding a resource", RESOURCE_PATCH)]
)
def test_page_names_each_file_of_the_example(heading: str, patch: Path) -> None:
    named = re.findall(r"`((?:backend|deploy|docs|tests)/[^` ]+)`", section(heading).partition("\n\n")[2])
    assert sorted(named) == sorted(touched_files(patch))


def test_a_field_is_a_short_patch() -> None:
    assert len(FIELD_PATCH.read_text().splitlines()) <= 120


def test_a_resource_edits_three_files_and_none_of_the_platform() -> None:
    touched = touched_files(RESOURCE_PATCH)
    assert [file for file in touched if file.startswith("backend/platform/")] == []
    assert len(set(touched) - new_files(RESOURCE_PATCH)) <= 3


def test_page_names_tests_that_are_there() -> None:
    migrations = (ROOT / "tests" / "integration" / "test_migrations.py").read_text()
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert named
    assert [name for name in named if f"def {name}(" not in migrations] == []
