"""Increments without a lock: the same numbers in the shared files as those of prometheus-client."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from backend.platform.observability import metric_values
from backend.platform.observability.multiprocess_metrics import DIRECTORY_VARIABLE, collect_multiprocess
from tests.support.fast_paths import set_fast_paths


class Process:
    """Metrics of a process whose id changes at a fork."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.id = 1
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(directory))
        self.library_class: Any = values.MultiProcessValue(lambda: self.id)  # type: ignore[no-untyped-call]
        monkeypatch.setattr(values, "ValueClass", self.library_class)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Process:
    set_fast_paths(monkeypatch, "metric_values")
    return Process(monkeypatch, tmp_path)


def samples(directory: Path) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for metric in collect_multiprocess(directory)
        for sample in metric.samples
    }


@pytest.mark.parametrize("names", [["metric_values"], []])
def test_the_files_have_the_same_numbers_with_and_without_the_accelerator(
    monkeypatch: pytest.MonkeyPatch, process: Process, tmp_path: Path, names: list[str]
) -> None:
    set_fast_paths(monkeypatch, *names)
    metric_values.install()
    assert (values.ValueClass is process.library_class) == (not names)
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", registry=registry)
    active = Gauge("active", "Active.", multiprocess_mode="livesum", registry=registry)
    duration = Histogram("duration", "Duration.", buckets=(1, 2), registry=registry)
    # More than the first 64 KiB of a file: the library then maps it again.
    many = Counter("many", "Many.", ("number",), registry=registry)
    for number in range(1000):
        many.labels(f"{number:060}").inc()
    counter.inc()
    counter.inc(2.5)
    active.set(7)
    active.inc()
    active.dec(3)
    duration.observe(1.5)
    found = samples(tmp_path)
    assert (found["requests_total"], found["active"]) == (3.5, 5)
    assert all(found[f"many_total{number:060}"] == 1 for number in range(1000))
    assert (found["duration_bucket1.0"], found["duration_bucket2.0"], found["duration_sum"]) == (0, 1, 1.5)


def test_a_fork_counts_in_a_file_of_its_own(process: Process, tmp_path: Path) -> None:
    metric_values.install()
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", registry=registry)
    gauge = Gauge("active", "Active.", multiprocess_mode="livesum", registry=registry)
    counter.inc(10)
    process.id = 2
    metric_values.reopen_after_fork(gauge)
    counter.inc()
    assert {path.name for path in tmp_path.glob("counter_*.db")} == {"counter_1.db", "counter_2.db"}
    assert samples(tmp_path)["requests_total"] == 11


@pytest.mark.usefixtures("process")
def test_the_library_increments_where_its_internals_differ(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)  # has no file
    metric_values.install()
    counter = Counter("requests", "Requests.", registry=CollectorRegistry())
    counter.inc()
    counter.inc()
    assert counter._value.get() == 2
    (record,) = caplog.records
    assert record.message.startswith(
        "accelerator metric_values is off: prometheus-client's internals differ ("
    )
