"""Gunicorn's configuration, derived from the settings: `gunicorn -c python:backend.platform.server.gunicorn_conf backend.main:app`."""

import gc
import os
from typing import Any

from backend.platform.errors import ConfigurationError, exit_with
from backend.platform.server.listener import BACKLOG, gunicorn_bind
from backend.platform.service_name import SERVICE_NAME
from backend.platform.settings.base import load
from backend.platform.settings.server import ServerSettings
from backend.platform.settings.types import with_mapped_ipv4

try:
    _settings = load(ServerSettings)
    bind = [
        gunicorn_bind(_settings.host, port)
        for port in (_settings.port, _settings.ops_port)
        if port is not None
    ]
except ConfigurationError as error:
    exit_with(error)

_directory = _settings.run_dir.absolute() / "metrics"
try:
    _directory.mkdir(parents=True, exist_ok=True)
except OSError as error:
    exit_with(ConfigurationError(f"RUN_DIR: {error.filename} cannot be written ({error.strerror})"))
# prometheus-client reads this variable at import and creates files for the first metric, so it is set before.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_directory)

# Nearly all objects that the application creates at its import stay: collections would only take an eighth of the time.
gc.disable()

from backend.platform.observability import multiprocess_metrics  # noqa: E402 - see above
from backend.platform.observability.logging import build_logging_config  # noqa: E402 - see above
from backend.platform.observability.metric_values import reopen_after_fork  # noqa: E402 - see above
from backend.platform.observability.metrics import requests_active  # noqa: E402 - see above
from backend.platform.server.drain import drain_marker_path  # noqa: E402 - see above
from backend.platform.server.worker import EXIT_REASONS, exit_reason  # noqa: E402 - see above

worker_class = "backend.platform.server.worker.GracefulUvicornWorker"
workers = _settings.workers
# Workers share the memory of the loaded code, and a replacement starts fast.
preload_app = True
backlog = BACKLOG
keepalive = _settings.keep_alive_seconds
timeout = _settings.worker_timeout_seconds
graceful_timeout = _settings.graceful_timeout_seconds
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests_jitter
forwarded_allow_ips = ",".join(with_mapped_ipv4(_settings.trusted_proxies))
# A heartbeat file on a disk would block the worker while the disk blocks.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - where tmpfs is
# Disabled: it needs a writable HOME and is unused.
control_socket_disable = True
proc_name = SERVICE_NAME
accesslog = None
logconfig_dict = build_logging_config(_settings)


def on_starting(_server: Any) -> None:
    """Delete files of an earlier run: the directory can outlive a container."""
    try:
        multiprocess_metrics.reset_multiproc_dir(_directory, EXIT_REASONS)
        drain_marker_path(_settings.run_dir).unlink(missing_ok=True)
    except OSError as error:
        exit_with(ConfigurationError(f"RUN_DIR: {error.filename} cannot be written ({error.strerror})"))


def when_ready(_server: Any) -> None:
    """Exempt loaded code from garbage collection, which would pause workers for 0.1 s and copy shared memory."""
    gc.collect()
    gc.freeze()
    gc.enable()


def post_fork(_server: Any, _worker: Any) -> None:
    """Open the worker's metric files, and set up its garbage collector."""
    reopen_after_fork(requests_active)
    # The default of 700 rescans in-flight requests too often under load.
    gc.set_threshold(20_000, 10, 10)


def child_exit(_server: Any, worker: Any) -> None:
    """Count the exit of a worker and archive its counters."""
    reason = exit_reason(worker.pid, was_aborted=worker.aborted)
    multiprocess_metrics.count_worker_exit(_directory, reason)
    multiprocess_metrics.mark_worker_dead(_directory, worker.pid)
