"""Files of the workers' metrics: the archive of dead workers, exits, exemplars, and the lock."""

import fcntl
import os
from pathlib import Path

import pytest

from backend.platform.observability import exemplars, multiprocess_metrics

REASONS = ("crash", "stopped")
TASKS_CREATED = '["tasks_created", "tasks_created_total", {}, "Tasks created."]'
ABSENT = 1 << 22
"""Larger than any process id."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    multiprocess_metrics.reset_multiproc_dir(tmp_path / "metrics", REASONS)
    return tmp_path / "metrics"


def write_counter(directory: Path, process_id: int, value: float) -> None:
    values = multiprocess_metrics._open_values(str(directory / f"counter_{process_id}.db"))
    values.write_value(TASKS_CREATED, value, 0.0)
    values.close()


def tasks_created(directory: Path) -> float:
    return {
        metric.name: metric.samples[0].value
        for metric in multiprocess_metrics.collect_multiprocess(directory)
    }["tasks_created"]


def test_exits_of_workers_are_counted_by_reason_from_zero(directory: Path) -> None:
    multiprocess_metrics.count_worker_exit(directory, "crash")
    multiprocess_metrics.count_worker_exit(directory, "crash")
    (exits,) = multiprocess_metrics.collect_multiprocess(directory)
    assert exits.name == "gunicorn_worker_exits"
    assert {sample.labels["reason"]: sample.value for sample in exits.samples} == {"crash": 2, "stopped": 0}


def test_files_of_an_earlier_run_are_not_counted(directory: Path) -> None:
    multiprocess_metrics.count_worker_exit(directory, "crash")
    multiprocess_metrics.reset_multiproc_dir(directory, ())
    assert multiprocess_metrics.collect_multiprocess(directory) == []


def test_two_hundred_workers_leave_no_more_files_than_one(directory: Path) -> None:
    for process_id in range(ABSENT, ABSENT + 200):
        write_counter(directory, process_id, 1.0)
        multiprocess_metrics.mark_worker_dead(directory, process_id)
    assert tasks_created(directory) == 200
    assert len(list(directory.iterdir())) <= 4


def test_dead_worker_loses_its_gauges_and_exemplars_and_a_live_one_keeps_them(directory: Path) -> None:
    live = os.getpid()
    for process_id in (ABSENT, live):
        (directory / f"gauge_livesum_{process_id}.db").touch()
        exemplars.write_exemplars(directory, process_id)
        write_counter(directory, process_id, 3.0)
    assert multiprocess_metrics.live_workers(directory) != [live]
    multiprocess_metrics.mark_worker_dead(directory, ABSENT)
    assert multiprocess_metrics.live_workers(directory) == [live]
    assert [path.name for path in directory.glob("exemplars_*")] == [f"exemplars_{live}.json"]
    assert (directory / f"counter_{live}.db").exists()
    assert tasks_created(directory) == 6


def test_reader_that_keeps_its_lock_only_delays_the_archive(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocess_metrics, "_LOCK_SECONDS", 0.0)
    write_counter(directory, ABSENT, 3.0)
    with (directory / "lock").open("a") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        multiprocess_metrics.mark_worker_dead(directory, ABSENT)
        assert (directory / f"counter_{ABSENT}.db").exists()
    multiprocess_metrics.mark_worker_dead(directory, ABSENT + 1)  # the next worker that ends
    assert not (directory / f"counter_{ABSENT}.db").exists()
    assert tasks_created(directory) == 3


def test_file_of_a_starting_worker_is_skipped_while_it_is_empty(directory: Path) -> None:
    write_counter(directory, ABSENT, 3.0)
    (directory / f"counter_{ABSENT + 1}.db").touch()
    assert tasks_created(directory) == 3


def test_newest_exemplar_of_all_workers_is_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ("GET", "/api/{user_id}/tasks", "200")
    monkeypatch.setattr(exemplars, "exemplars_of_this_process", {})
    for process_id, trace_id, now in ((ABSENT, "a" * 32, 2.0), (ABSENT + 1, "b" * 32, 1.0)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        exemplars.record_exemplar(labels, 0.02, trace_id)
        exemplars.write_exemplars(directory, process_id)
    ((key, sample),) = exemplars.read_exemplars(directory).items()
    assert (key[:3], sample) == (labels, ("a" * 32, 0.02, 2.0))


def test_single_process_has_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(multiprocess_metrics.DIRECTORY_VARIABLE, raising=False)
    assert multiprocess_metrics.metrics_directory() is None
