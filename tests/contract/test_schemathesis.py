"""Schemathesis checks the running service against its OpenAPI document, over a socket."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.service import RunningService

COMMAND = Path(sys.executable).with_name("schemathesis")
USER_ID = "schemathesis"
CONFIGURATION = f"""
[parameters]
# Made-up ids would be answered by 403 and 404 alone: the user is the token's.
"path.user_id" = "{USER_ID}"
# Its own values here do not fit the pattern; tests/contract/test_conditional_requests.py has many that do.
"header.If-None-Match" = '"v9"'
"header.If-Match" = "*"

[checks.positive_data_acceptance]
# No schema can say which version a task is at.
expected-statuses = ["2xx", 304, 404, 409, 412]

[[operations]]
include-name = "GET /api/{{user_id}}/tasks"
# … nor which cursors this list gave.
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]

[[operations]]
include-name = "POST /api/{{user_id}}/tasks"
# … nor which keys were used with another body.
checks.positive_data_acceptance.expected-statuses = ["2xx", 409, 422]

[[operations]]
include-name = ["PUT /api/{{user_id}}/tasks/{{task_id}}", "PATCH /api/{{user_id}}/tasks/{{task_id}}"]
# … nor that two tags differ in more than case.
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 404, 409, 412, 422]

[[operations]]
include-name = "POST /api/{{user_id}}/tasks/batch"
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 412, 422]
"""


@pytest.mark.timeout(180)
async def test_service_keeps_its_contract(service: RunningService, tmp_path: Path) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        f"--config-file={configuration}",
        "run",
        f"{service.url}/openapi.json",
        f"--header=Authorization: Bearer {service.token(USER_ID)}",
        "--checks=all",
        "--phases=examples,coverage,fuzzing,stateful",
        "--max-examples=12",
        "--seed=1",
        "--generation-database=none",
        "--no-color",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    tested = re.search(r"(\d+) generated", output)
    assert tested is not None, output
    assert int(tested[1]) > 300
