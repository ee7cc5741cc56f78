"""A pytest plugin: no process that a test starts outlives the run, also when the run is killed.

Every descendant inherits a variable with the run's own value. A guard outside the run waits until the run ends,
for which the kernel closes a pipe, and kills what still has the variable. Unlike a process group, and unlike
PR_SET_PDEATHSIG, it finds grandchildren and processes of sessions of their own, and it does not depend on threads.
"""

import os
import subprocess
import sys
from uuid import uuid4

import pytest

__all__ = ["VARIABLE", "pytest_configure"]

VARIABLE = "TEST_RUN_ID"

_GUARD = """
import os, signal, sys
sys.stdin.read()
found = True
while found:
    found = False
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                if sys.argv[1].encode() in environ.read().split(b"\\0"):
                    os.kill(int(pid), signal.SIGKILL)
                    found = True
        except OSError:
            pass  # it ended, or is another user's
"""


def pytest_configure(config: pytest.Config) -> None:
    """Start the guard, once in a run: the workers of pytest-xdist are descendants as well."""
    if hasattr(config, "workerinput") or not os.path.isdir("/proc/self"):  # noqa: PTH112 - a constant
        return
    os.environ[VARIABLE] = uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, f"{VARIABLE}={os.environ[VARIABLE]}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={},
    )
    # It ends behind this process: nothing waits for it, and its end of the pipe stays open until then.
    config.stash[pytest.StashKey[subprocess.Popen[bytes]]()] = guard
    guard.returncode = 0
