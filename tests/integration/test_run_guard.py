"""What a test leaves running ends with the run of pytest, whether a test fails or the run is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.run_guard import VARIABLE
from tests.support.waiting import poll_until

pytestmark = pytest.mark.usefixtures("unmeasured_processes")

ROOT = Path(__file__).parents[2]

LEAVES_A_SERVER = """
import os, subprocess, sys, time

def test_that_fails():
    # A grandchild, in a session of its own, as a worker of a server would be.
    server = "import subprocess, sys; subprocess.run(['sleep', '100000'])"
    process = subprocess.Popen([sys.executable, "-c", server], start_new_session=True)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    while not (grandchild := open(children).read().strip()):
        time.sleep(0.01)
    with open("unfinished", "w") as file:
        file.write(f"{process.pid} {grandchild}")
    os.rename("unfinished", "pids")
    %s
"""


def run_pytest(folder: Path, last: str) -> subprocess.Popen[bytes]:
    (folder / "test_it.py").write_text(LEAVES_A_SERVER % last)
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={folder}"),
            *("-p", "xdist", "-n", "1"),
            *("-p", "tests.support.run_guard", "-p", "no:cacheprovider", "test_it.py"),
        ],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def are_gone(pids: list[str]) -> bool:
    def is_alive(pid: str) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    return not any(map(is_alive, pids))


@pytest.mark.parametrize("killed", [False, True], ids=["a test fails", "the run is killed"])
async def test_what_a_test_leaves_running_ends_with_the_run(tmp_path: Path, *, killed: bool) -> None:
    run = run_pytest(tmp_path, "time.sleep(100000)" if killed else "assert False")
    await poll_until((tmp_path / "pids").exists, 60, what="the test has started a server")
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    if killed:
        assert not are_gone(pids[:1])
        run.send_signal(signal.SIGKILL)
    assert run.wait() == (-signal.SIGKILL if killed else 1)
    await poll_until(lambda: are_gone(pids), what="the server and its child have ended")
