"""Gunicorn's configuration, from our settings: `gunicorn -c python:backend.process.gunicorn_conf backend.main:app`."""

import gc
import os
from typing import Any

from backend.config import ConfigurationError, load_settings
from backend.environment import exit_with
from backend.process.listener import BACKLOG, gunicorn_bind
from backend.setting_types import with_mapped_ipv4

try:
    _settings = load_settings()
    bind = [
        gunicorn_bind(_settings.host, port)
        for port in (_settings.port, _settings.ops_port)
        if port is not None
    ]
except ConfigurationError as error:
    exit_with(error)

_directory = _settings.run_dir.absolute() / "metrics"
# prometheus-client looks at it when it is imported, which is next; the workers inherit both.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_directory)

from backend.observability import worker_metrics  # noqa: E402 - see above
from backend.observability.logging import logging_dictionary  # noqa: E402
from backend.observability.shared_value import SharedValue  # noqa: E402
from backend.process.drain import drain_file  # noqa: E402
from backend.process.worker import EXIT_REASONS, exit_reason  # noqa: E402

worker_class = "backend.process.worker.TaskWorker"
workers = _settings.workers
# The code is loaded once, so that workers share its memory, and one that is replaced serves at once.
preload_app = True
backlog = BACKLOG
keepalive = _settings.keep_alive_seconds
timeout = _settings.worker_timeout_seconds
graceful_timeout = _settings.graceful_timeout_seconds
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests_jitter
forwarded_allow_ips = ",".join(with_mapped_ipv4(_settings.trusted_proxies))
# Heartbeats on a disk block with it.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - where tmpfs is
# It writes below HOME, which a read-only root has not, and nobody asks it.
control_socket_disable = True
proc_name = "task-service"
accesslog = None
logconfig_dict = logging_dictionary(_settings)


def on_starting(_server: Any) -> None:
    """Forget what an earlier run left in a folder that outlives a container."""
    try:
        worker_metrics.prepare_directory(_directory, EXIT_REASONS)
        drain_file(_settings.run_dir).unlink(missing_ok=True)
    except OSError as error:
        exit_with(ConfigurationError(f"RUN_DIR: {error.filename} cannot be written ({error.strerror})"))


def when_ready(_server: Any) -> None:
    """Keep the garbage collector off what was loaded: walking it stops a worker for 0.1 s, and ends the sharing."""
    gc.collect()
    gc.freeze()


def post_fork(_server: Any, _worker: Any) -> None:
    """Begin what each worker has of its own."""
    SharedValue.begin(_directory)
    # By default 700: then a collection walks the requests under way again and again, the more the more there are.
    gc.set_threshold(20_000, 10, 10)


def child_exit(_server: Any, worker: Any) -> None:
    """Count the end of a worker and keep its sums."""
    reason = exit_reason(worker.pid, was_aborted=worker.aborted)
    worker_metrics.count_worker_exit(_directory, reason)
    worker_metrics.retire_worker(_directory, worker.pid)
