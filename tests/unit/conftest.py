"""Unit tests open no socket and start no process: what needs one is an integration test."""

import sys
from collections.abc import Iterator

import pytest

_FORBIDDEN = {
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"),
    *("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system"),
}


class _Guard:
    """Sees every event of the interpreter; an audit hook cannot be removed."""

    def __init__(self) -> None:
        self.is_active = False
        self.seen: list[str] = []
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _arguments: object) -> None:
        if self.is_active and event in _FORBIDDEN:
            self.seen.append(event)
            raise RuntimeError(f"{event} in a unit test: move the test to tests/integration")


_guard = _Guard()


@pytest.fixture(autouse=True)
def _no_socket_and_no_process() -> Iterator[None]:
    _guard.seen.clear()
    _guard.is_active = True
    yield
    _guard.is_active = False
    assert _guard.seen == []  # the code under test may have caught the error
