"""Metrics of several processes: sums are exact, never go back, and leave no files behind."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from backend.platform.observability import multiprocess_metrics

REASONS = ("crash", "stopped")

# The library decides when it is imported whether metrics are shared, so each worker is a new process.
WORKER = """
import os, sys
from pathlib import Path
from backend.platform.observability import exemplars
from backend.platform.observability import metrics
from backend.services import metrics as task_metrics
for _ in range(int(sys.argv[1])):
    labels = metrics.observe_request("GET", "/api/{user_id}/tasks", 200, 0.02)
    task_metrics.tasks_created.inc()
metrics.worker_is_up()
metrics.observe_key_set_refresh(succeeded=True)
exemplars.record_exemplar(labels, 0.02, "a" * 32)
exemplars.write_exemplars(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), os.getpid())
print(os.getpid(), flush=True)
sys.stdin.read()
"""

SCRAPE = """
import sys
from backend.platform.observability.exposition import render_metrics
body, content_type = render_metrics("application/openmetrics-text; version=1.0.0")
assert content_type.startswith("application/openmetrics-text"), content_type
sys.stdout.buffer.write(body)
"""


class Workers:
    """Processes that share a folder of metrics."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {**os.environ, multiprocess_metrics.DIRECTORY_VARIABLE: str(directory)}

    def start(self, requests: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(requests)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_counted(self, worker: subprocess.Popen[str]) -> int:
        assert worker.stdout is not None
        return int(worker.stdout.readline())

    def end(self, worker: subprocess.Popen[str]) -> None:
        worker.communicate()
        multiprocess_metrics.mark_worker_dead(self.directory, worker.pid)

    def scrape(self) -> dict[str, float]:
        text = subprocess.run(
            [sys.executable, "-c", SCRAPE], env=self._environment, check=True, capture_output=True, text=True
        ).stdout
        families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
        samples = [sample for family in families for sample in family.samples]
        self.exemplars = {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar}
        return {sample.name: sample.value for sample in samples if not {"le", "role"} & sample.labels.keys()}


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    directory = tmp_path / "metrics"
    multiprocess_metrics.reset_multiproc_dir(directory, REASONS)
    return Workers(directory)


def test_sums_stay_exact_while_workers_come_and_go(workers: Workers) -> None:
    running = [workers.start(requests) for requests in (3, 5)]
    for worker in running:
        workers.wait_until_counted(worker)
    seen = workers.scrape()
    assert seen["http_server_request_duration_seconds_count"] == 8
    assert seen["tasks_created_total"] == 8
    assert seen["gunicorn_workers"] == 2
    assert workers.exemplars == {"a" * 32}

    workers.end(running[0])
    seen = workers.scrape()
    assert seen["http_server_request_duration_seconds_count"] == 8
    assert seen["http_server_request_duration_seconds_sum"] == pytest.approx(8 * 0.02)
    assert seen["tasks_created_total"] == 8
    assert seen["gunicorn_workers"] == 1

    workers.end(running[1])
    assert workers.scrape()["tasks_created_total"] == 8
    left = {path.name for path in workers.directory.iterdir() if path.suffix in {".db", ".json"}}
    assert {name for name in left if not name.startswith("gauge_")} >= {
        "counter_arbiter.db",
        "counter_archive.db",
        "histogram_archive.db",
    }
    assert not [name for name in left if str(running[0].pid) in name or str(running[1].pid) in name]


def test_a_frozen_reader_delays_the_sums_of_a_dead_worker_and_loses_nothing(workers: Workers) -> None:
    worker = workers.start(3)
    workers.wait_until_counted(worker)
    with (workers.directory / "lock").open("a") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        workers.end(worker)
        assert not (workers.directory / "counter_archive.db").exists()
    next_worker = workers.start(1)
    workers.wait_until_counted(next_worker)
    workers.end(next_worker)
    assert workers.scrape()["tasks_created_total"] == 4
    assert not list(workers.directory.glob(f"counter_{worker.pid}.db"))


def test_the_age_of_the_keys_is_that_of_the_live_worker_that_fetched_longest_ago(workers: Workers) -> None:
    name = "auth_key_set_last_success_timestamp_seconds"
    first = workers.start(1)
    workers.wait_until_counted(first)
    earliest = workers.scrape()[name]
    second = workers.start(1)
    workers.wait_until_counted(second)
    seen = workers.scrape()
    assert (seen[name], seen["auth_key_set_refreshes_total"]) == (earliest, 2)
    workers.end(first)
    seen = workers.scrape()
    assert (seen[name] > earliest, seen["auth_key_set_refreshes_total"]) == (True, 2)
    workers.end(second)
