"""Exemplars: for each bucket of the request histogram, the trace of a request in it."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

from backend.platform.observability.metrics import DURATION_BUCKETS

__all__ = [
    "attach_exemplars",
    "exemplars_of_this_process",
    "read_exemplars",
    "record_exemplar",
    "write_exemplars",
]

# prometheus-client drops exemplars in multiprocess mode. So this module stores them, with one process or several.
_FILES = "exemplars_*.json"
_HISTOGRAM = "http_server_request_duration_seconds"
_BOUNDS = (*map(str, DURATION_BUCKETS), "+Inf")

type BucketKey = tuple[str, str, str, str]
"""Key of a bucket: method, route, status, upper bound."""

type ExemplarSample = tuple[str, float, float]
"""Trace id, duration in seconds, and Unix time of the end of the request."""

exemplars_of_this_process: dict[BucketKey, ExemplarSample] = {}


def record_exemplar(labels: tuple[str, str, str], seconds: float, trace_id: str) -> None:
    """Keep a sampled request as the exemplar of its bucket.

    Args:
        labels: Method, route and status, as returned by `observe_request`.
        seconds: Duration of the request.
        trace_id: 32 hex digits.
    """
    bound = _BOUNDS[bisect_left(DURATION_BUCKETS, seconds)]
    exemplars_of_this_process[(*labels, bound)] = (trace_id, seconds, time.time())


def write_exemplars(directory: Path, process_id: int) -> None:
    """Write the exemplars of this process to a file, for the worker that serves the next scrape."""
    content = [[*key, *sample] for key, sample in exemplars_of_this_process.items()]
    path = directory / f"exemplars_{process_id}.json"
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(content))
    draft.replace(path)


def read_exemplars(directory: Path) -> dict[BucketKey, ExemplarSample]:
    """Return the newest exemplar of each bucket over all processes."""
    newest: dict[BucketKey, ExemplarSample] = {}
    for path in directory.glob(_FILES):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # the worker has just ended
            continue
        for method, route, status, bound, *sample in msgspec.json.decode(content):
            key = (method, route, status, bound)
            trace_id, seconds, ended = sample
            if key not in newest or newest[key][2] < ended:
                newest[key] = (trace_id, seconds, ended)
    return newest


def attach_exemplars(
    metrics: Iterable[Metric], exemplars: Mapping[BucketKey, ExemplarSample]
) -> Iterator[Metric]:
    """Add exemplars to the buckets of the request histogram. Other metrics are unchanged."""
    for metric in metrics:
        if metric.name == _HISTOGRAM:
            metric.samples = [_with_exemplar(sample, exemplars) for sample in metric.samples]
        yield metric


def _with_exemplar(sample: Sample, exemplars: Mapping[BucketKey, ExemplarSample]) -> Sample:
    labels = sample.labels
    key = (
        labels["http_request_method"],
        labels["http_route"],
        labels["http_response_status_code"],
        labels.get("le", ""),
    )
    if key not in exemplars:
        return sample
    trace_id, seconds, ended = exemplars[key]
    return sample._replace(exemplar=Exemplar({"trace_id": trace_id}, seconds, ended))
