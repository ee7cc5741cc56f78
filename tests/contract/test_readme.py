"""Every curl command of the README works, in order and unchanged."""

import asyncio
import json
import re
import shutil
from pathlib import Path

from tests.support.service import RunningService

README = (Path(__file__).parents[2] / "README.md").read_text()
LINES = re.findall(r"\| `(curl [^`]*)` \|", README)


async def run(line: str, variables: dict[str, str]) -> str:
    curl = 'curl() { command curl --silent --show-error --fail-with-body --max-time 20 "$@"; }\n'
    process = await asyncio.create_subprocess_exec(
        shutil.which("bash") or "bash",
        "-c",
        curl + line,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"{line}\n{output.decode()}"
    return output.decode()


async def test_every_curl_line_works(service: RunningService) -> None:
    variables = {
        "PATH": "/usr/bin:/bin",
        "TASKS": f"{service.url}/api/reader-of-the-readme/tasks",
        "AUTH": f"Authorization: Bearer {service.token('reader-of-the-readme')}",
    }
    assert len(LINES) >= 9
    for line in LINES:
        output = await run(line, variables)
        if "ID" not in variables:
            variables["ID"] = str(json.loads(output)["id"])
