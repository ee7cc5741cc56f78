"""Exemplars: for each bucket of the request histogram, a trace that fell into it."""

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

# The client library drops exemplars where several processes share their metrics, so they travel apart
# from it, in the same way with one process and with many.
_FILES = "exemplars_*.json"
_HISTOGRAM = "http_server_request_duration_seconds"
_BOUNDS = (*map(str, DURATION_BUCKETS), "+Inf")

type BucketKey = tuple[str, str, str, str]
"""A bucket: method, route, status, upper bound."""

type ExemplarSample = tuple[str, float, float]
"""A trace's id, the seconds that it took, and when it ended (Unix time)."""

exemplars_of_this_process: dict[BucketKey, ExemplarSample] = {}


def record_exemplar(labels: tuple[str, str, str], seconds: float, trace_id: str) -> None:
    """Keep a sampled request as the exemplar of its bucket.

    Args:
        labels: Method, route and status, as `observe_request` returned them.
        seconds: The request's duration.
        trace_id: 32 hex digits.
    """
    bound = _BOUNDS[bisect_left(DURATION_BUCKETS, seconds)]
    exemplars_of_this_process[(*labels, bound)] = (trace_id, seconds, time.time())


def write_exemplars(directory: Path, process_id: int) -> None:
    """Publish this process's exemplars for the worker that is scraped next."""
    content = [[*place, *observation] for place, observation in exemplars_of_this_process.items()]
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
        except FileNotFoundError:  # of a worker that just ended
            continue
        for method, route, status, bound, *observation in msgspec.json.decode(content):
            place = (method, route, status, bound)
            trace_id, seconds, at = observation
            if place not in newest or newest[place][2] < at:
                newest[place] = (trace_id, seconds, at)
    return newest


def attach_exemplars(
    metrics: Iterable[Metric], exemplars: Mapping[BucketKey, ExemplarSample]
) -> Iterator[Metric]:
    """Put exemplars on the bucket samples of the request histogram; other metrics pass unchanged."""
    for metric in metrics:
        if metric.name == _HISTOGRAM:
            metric.samples = [_with_exemplar(sample, exemplars) for sample in metric.samples]
        yield metric


def _with_exemplar(sample: Sample, exemplars: Mapping[BucketKey, ExemplarSample]) -> Sample:
    labels = sample.labels
    place = (
        labels["http_request_method"],
        labels["http_route"],
        labels["http_response_status_code"],
        labels.get("le", ""),
    )
    if place not in exemplars:
        return sample
    trace_id, seconds, at = exemplars[place]
    return sample._replace(exemplar=Exemplar({"trace_id": trace_id}, seconds, at))
