"""A client from Debian reads the calendar: todoman. khal, which the same people keep, reads events only."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import User

# Debian's name of it; from PyPI it is `todo`.
PROGRAM = shutil.which("todoman")

pytestmark = pytest.mark.skipif(
    PROGRAM is None and os.environ.get("CI") != "true", reason="todoman is not installed"
)


def read_with_todoman(calendar: bytes, folder: Path) -> dict[str, Any]:
    """Return what the client reads, by the summaries. It expects a folder with one file for each VTODO."""
    lists = folder / "lists" / "tasks"
    lists.mkdir(parents=True)
    header, *_ = calendar.partition(b"BEGIN:VTODO\r\n")
    for number, todo in enumerate(re.findall(rb"BEGIN:VTODO\r\n.*?END:VTODO\r\n", calendar, re.DOTALL)):
        (lists / f"{number}.ics").write_bytes(header + todo + b"END:VCALENDAR\r\n")
    configuration = folder / "config.py"
    configuration.write_text(
        f'path = "{folder}/lists/*"\ncache_path = "{folder}/cache"\n'
        'date_format = "%Y-%m-%d"\ntime_format = "%H:%M"\n'
    )
    assert PROGRAM is not None, "todoman is not installed"
    read = subprocess.run(
        [PROGRAM, "--config", configuration, "--porcelain", "list", "--status", "ANY"],
        capture_output=True,
        check=True,
        env={"TZ": "UTC", "LANG": "C.UTF-8", "HOME": str(folder), "PATH": os.defpath},
    )
    return {todo["summary"]: todo for todo in json.loads(read.stdout)}


async def test_client_reads_every_field(alice: User, tmp_path: Path) -> None:
    title = 'Buy milk, bread; "oats" \\ ' + "ä" * 100
    await alice.create(
        title, description="2 litres\nof the best", due="2026-12-01T09:00:00+01:00", priority="high"
    )
    await alice.create("On a day", due="2026-12-24", completed=True)
    await alice.create("Not due")
    answer = await alice.request("GET", "/calendar.ics")
    read = read_with_todoman(answer.content, tmp_path)
    assert read.keys() == {title, "On a day"}
    first, second = read[title], read["On a day"]
    assert first["due"] == datetime(2026, 12, 1, 8, tzinfo=UTC).timestamp()
    assert (first["description"], first["priority"], first["completed"]) == (
        "2 litres\nof the best",
        1,
        False,
    )
    assert second["due"] == datetime(2026, 12, 24, tzinfo=UTC).timestamp()
    assert (second["priority"], second["completed"]) == (0, True)
