"""Why a worker ended: its own record, else how the master saw it end."""

from pathlib import Path

import pytest

from backend.platform.observability.multiprocess_metrics import DIRECTORY_VARIABLE
from backend.platform.server.worker import EXIT_REASONS, _record_exit_reason, exit_reason


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("was_aborted", "reason"), [(True, "timeout"), (False, "crashed")])
def test_worker_without_a_record_crashed_or_hung(directory: Path, reason: str, *, was_aborted: bool) -> None:
    assert list(directory.iterdir()) == []
    assert exit_reason(42, was_aborted=was_aborted) == reason
    assert reason in EXIT_REASONS


@pytest.mark.parametrize("reason", ["stopped", "recycled"])
def test_record_of_a_worker_is_read_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 42)
    _record_exit_reason(reason)
    # A hung worker whose record says that it stopped did stop.
    assert exit_reason(42, was_aborted=True) == reason
    assert list(directory.iterdir()) == []
    assert exit_reason(42, was_aborted=False) == "crashed"  # the kernel reuses process ids


def test_single_process_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    _record_exit_reason("stopped")
    assert exit_reason(42, was_aborted=False) == "crashed"
