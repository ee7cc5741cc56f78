"""The frontend's own checks: types, unit tests in Node, and types made from the service's OpenAPI document."""

import asyncio
import re
from pathlib import Path

import pytest

from deploy.full_stack import FRONTEND, build

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=FRONTEND,
        env=await build(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_types() -> None:
    await run("npm", "run", "--silent", "types")


async def test_units() -> None:
    output = await run("npm", "test", "--silent")
    passed = re.search(r"^# pass (\d+)$", output, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 100
    assert "\n# skipped 0" in output


async def test_types_of_the_service_are_made_from_its_document(tmp_path: Path) -> None:
    made = tmp_path / "task-service.d.ts"
    await run("npm", "run", "--silent", "contract", "--", "--output", str(made))
    stored = FRONTEND / "src" / "task-service.d.ts"
    assert stored.read_text() == made.read_text(), "run `make docs`"


def test_lock_file_names_no_address() -> None:
    text = (FRONTEND / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert text.count('"integrity": "sha512-') > 50
