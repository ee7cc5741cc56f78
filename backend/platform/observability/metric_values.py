"""Accelerator `metric_values`: increments metrics in the shared files of the workers without a lock.

For programs with threads and forks, prometheus-client takes a lock and asks for the process id at each increment. In a
worker only the event loop increments, and `reopen_after_fork` handles the fork.

Uses these internals of prometheus-client: `values.ValueClass`, and `_value`, `_key` and `_file.write_value` of its
instances. If one of them differs, the library's own increments are used.
"""

from typing import Any

from prometheus_client import Gauge, values

from backend.platform.observability.multiprocess_metrics import metrics_directory
from backend.platform.settings.fast_paths import fall_back, is_on

__all__ = ["install", "reopen_after_fork"]


def install() -> None:
    """Use increments without a lock for all metrics that are created from now on, if workers share metrics."""
    if metrics_directory() is not None and is_on("metric_values"):
        values.ValueClass = _without_lock(values.ValueClass)


def reopen_after_fork(gauge: Gauge) -> None:
    """Open the metric files of this process. Call it after a fork, before anything is incremented.

    prometheus-client opens them for all metrics when one is set in a new process.

    Args:
        gauge: A gauge without labels; it is set to 0.
    """
    gauge.set(0)


def _without_lock(library_class: Any) -> Any:
    class ValueWithoutLock(library_class):  # type: ignore[misc]  # chosen by prometheus-client at run time
        _value: float

        def inc(self, amount: float) -> None:
            try:
                value = self._value + amount
                self._file.write_value(self._key, value, 0.0)
            except (AttributeError, TypeError) as error:
                fall_back("metric_values", f"prometheus-client's internals differ ({error})")
                del ValueWithoutLock.inc  # the library's method serves from now on
                self.inc(amount)
            else:
                self._value = value

    return ValueWithoutLock
