"""`task-service dev --reload` serves changed files and refuses no connection during a restart."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import httpx

from tests.support.waiting import poll_until, scaled
from tests.support.workers import free_port

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from backend.cli import main; sys.argv = ['task-service', 'dev', '--reload']; main()"


@contextlib.asynccontextmanager
async def reloading(folder: Path, database_url: str, **environment: str) -> AsyncIterator[tuple[int, int]]:
    """Run it on a copy of the code; yield both ports."""
    shutil.copytree(ROOT / "backend", folder / "backend", ignore=shutil.ignore_patterns("__pycache__"))
    port, ops_port = free_port(), free_port()
    settings = {
        "PYTHONPATH": str(folder),
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
        "RUN_DIR": str(folder / "run"),
        "DATA_DIR": str(folder / "data"),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM),
            cwd=folder,
            env={**os.environ, **settings, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(timeout=scaled(30)) as client:

            async def lives() -> httpx.Response:
                assert process.returncode is None, (folder / "log").read_text()
                return await client.get(f"http://127.0.0.1:{ops_port}/livez")

            await poll_until(lives, 60, what="it serves", retried=(httpx.TransportError,))
        yield port, ops_port
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), scaled(30))


async def test_a_saved_file_is_served_and_the_ports_stay_open(tmp_path: Path, database_url: str) -> None:
    async with (
        reloading(tmp_path, database_url) as (port, ops_port),
        httpx.AsyncClient(timeout=scaled(30)) as client,
    ):
        url = f"http://127.0.0.1:{port}"
        assert (await client.get(f"{url}/livez")).status_code == 404  # as in production, on the other port
        assert (await client.get(f"http://127.0.0.1:{ops_port}/readyz")).status_code == 200
        file = tmp_path / "backend" / "platform" / "http" / "health.py"
        code = file.read_text() + "\n\n@public.get('/saved')\nasync def saved() -> int:\n    return 1\n"
        started = perf_counter()
        await asyncio.to_thread(file.write_text, code)

        async def saved() -> str | None:
            # Each on a connection of its own: a refused one would raise.
            answer = await asyncio.to_thread(httpx.get, f"{url}/saved", timeout=scaled(30))
            return answer.text if answer.status_code == 200 else None

        # The ending process closes, or resets, a connection that it has accepted and not read from.
        closed = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        assert await poll_until(saved, 30, what="the saved code is served", retried=closed) == "1"
        print(f"saved and served: {perf_counter() - started:.1f} s")


async def test_debugger_can_attach(tmp_path: Path, database_url: str) -> None:
    debug_port = free_port()
    async with reloading(tmp_path, database_url, DEBUG_PORT=str(debug_port)):
        reader, writer = await asyncio.open_connection("127.0.0.1", debug_port)
        greeting = await asyncio.wait_for(reader.readuntil(b"}"), scaled(10))
        assert b"Content-Length" in greeting  # the Debug Adapter Protocol's first event
        writer.close()
