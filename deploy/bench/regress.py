"""Compares the CPU time of a request with that of an earlier commit, side by side in one run."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from deploy.bench.report import median_sample
from deploy.bench.runner import Figures, compare, prepare
from deploy.bench.variants import Variant

__all__ = ["LIMIT", "regress", "slower"]

LIMIT = 1.15
"""Maximum ratio of the CPU time per request to that of the base."""

_ATTEMPTS = 4
"""Slower routes are measured again: on a shared machine one run in three has a false positive."""

_ROUTES = ("list", "get", "create", "complete")
_ROOT = Path(__file__).parents[2]
_LOCK = "requirements.lock"


def slower(figures: Figures) -> dict[str, float]:
    """Return the CPU time ratio of the routes that exceed LIMIT."""
    ratios = {}
    for route in sorted({route for _, route in figures}):
        now, before = (median_sample(figures[name, route]).cpu_microseconds for name in ("ours", "base"))
        sys.stdout.write(f"{route:10}{before:8.0f} µs at the base{now:8.0f} µs now{now / before:7.2f}\n")
        if now / before > LIMIT:
            ratios[route] = now / before
    return ratios


async def regress(base: str) -> int:
    """Return 1 if a route is slower than `base` in each of four attempts, else 0. A missing base is reported.

    Args:
        base: Revision of the base commit.
    """
    async with prepare() as environment, _worktree(base, environment.folder / "base") as root:
        if root is None:
            sys.stdout.write(f"bench: there is no commit {base} here (first commit, or a shallow clone)\n")
            return 0
        python = await _interpreter(root, environment.folder / "venv")
        variants = [Variant("base", root=root, python=python), Variant("ours")]
        routes = list(_ROUTES)
        for _attempt in range(_ATTEMPTS):
            figures = await compare(
                environment, variants, routes=routes, rounds=3, seconds=1, with_pgbench=False
            )
            found = slower(figures)
            if not found:
                return 0
            routes = list(found)
    sys.stdout.write(
        f"bench: more than {LIMIT - 1:.0%} slower than {base}: "
        + ", ".join(f"{route} {ratio:.2f}" for route, ratio in found.items())
        + "\n"
    )
    return 1


@contextlib.asynccontextmanager
async def _worktree(commit: str, folder: Path) -> AsyncIterator[Path | None]:
    if await _git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}"):
        yield None
        return
    if await _git("worktree", "add", "--detach", str(folder), commit):
        raise RuntimeError(f"git worktree add {commit} failed")
    try:
        yield folder
    finally:
        await _git("worktree", "remove", "--force", str(folder))


async def _interpreter(root: Path, folder: Path) -> str:
    """Return the path of a Python with the dependencies of a checkout, in a virtual environment if they differ from ours."""
    if (root / _LOCK).read_bytes() == (_ROOT / _LOCK).read_bytes():
        return sys.executable
    uv = shutil.which("uv") or str(_ROOT / ".uv" / "bin" / "uv")  # where make installs it
    python = str(folder / "bin" / "python")
    for command in (
        ("venv", "--quiet", "--python", sys.executable, str(folder)),
        ("pip", "sync", "--quiet", "--require-hashes", "--python", python, str(root / _LOCK)),
        ("pip", "install", "--quiet", "--no-deps", "--python", python, str(root)),
    ):
        if await _run(uv, *command):
            raise RuntimeError(f"uv {command[0]} failed")
    return python


async def _git(*arguments: str) -> int:
    return await _run("git", "-C", str(_ROOT), *arguments)


async def _run(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()
