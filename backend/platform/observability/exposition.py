"""The response to a scrape: the metrics of all workers, in the format that the scraper accepts."""

import os
from collections.abc import Iterator
from typing import override

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from backend.platform.observability.exemplars import (
    attach_exemplars,
    exemplars_of_this_process,
    read_exemplars,
)
from backend.platform.observability.metrics import REGISTRY
from backend.platform.observability.multiprocess_metrics import (
    collect_multiprocess,
    live_workers,
    metrics_directory,
)
from backend.platform.observability.process_collector import collect_processes

__all__ = ["render_metrics"]


def render_metrics(accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type. It reads files, so call it in a thread.

    Args:
        accept: The `Accept` header of the scraper. Only OpenMetrics contains exemplars.
    """
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_AllProcessesCollector())
    return encode(registry), content_type


class _AllProcessesCollector(Collector):
    @override
    def collect(self) -> Iterator[Metric]:
        directory = metrics_directory()
        if directory is None:
            yield from attach_exemplars(REGISTRY.collect(), exemplars_of_this_process)
            yield from collect_processes(None, [os.getpid()])
            return
        exemplars = read_exemplars(directory) | exemplars_of_this_process
        yield from attach_exemplars(collect_multiprocess(directory), exemplars)
        yield from collect_processes(os.getppid(), live_workers(directory))
