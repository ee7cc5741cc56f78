"""A drill makes the failures and the latency that it announces."""

import asyncio
import re
import socket
import sys
from pathlib import Path

from deploy.drill import PHASES
from tests.support.service import SECRET

ROOT = Path(__file__).parents[2]


async def drill(*arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.drill", *arguments),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


async def test_a_local_service_fails_and_is_slow_as_announced(database_url: str, tmp_path: Path) -> None:
    port, ops_port = free_ports()
    code, said = await drill(
        *("failing", "slow", "--seconds=3", f"--port={port}", f"--ops-port={ops_port}"),
        DATABASE_URL=database_url,
        BETTER_AUTH_SECRET=SECRET,
        RUN_DIR=str(tmp_path),
    )
    assert code == 0, said
    failing, slow = said.split("\nslow:")
    assert re.search(r"\d+ × 500", failing), said
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", slow.partition("none")[0])[-5:]]
    assert numbers[2] >= PHASES["slow"].latency_seconds * 1000, said  # the p50, in milliseconds


async def test_unknown_phase_is_rejected() -> None:
    code, said = await drill("sleepy")
    assert code == 2
    assert "unknown phase: sleepy" in said
