"""Tells which accelerators are on: code that is there for speed alone, and that a library's own way can replace."""

import functools
import logging
from typing import Final

from pydantic import Field, field_validator

from backend.platform.settings.base import SettingsGroup, load

__all__ = ["FAST_PATHS", "FastPathSettings", "fall_back", "is_on"]

FAST_PATHS: Final = (
    "fast_route",
    "write_coalescing",
    "access_log",
    "metric_values",
    "timestamp_batch",
)
"""The name of each accelerator, which is also the name of its module."""


class FastPathSettings(SettingsGroup):
    """Which accelerators run."""

    fast_paths: str = Field(
        "on",
        description="Accelerators that replace a library's own code path: `on`, `off`, or names separated by commas "
        f"({', '.join(FAST_PATHS)}). Try `off` after an upgrade that behaves differently: only speed may change.",
    )

    @field_validator("fast_paths")
    @classmethod
    def _check_names(cls, value: str) -> str:
        if not _names(value) <= {*FAST_PATHS}:
            raise ValueError(f"must be on, off, or some of {', '.join(FAST_PATHS)}")
        return value


def is_on(name: str) -> bool:
    """Return whether an accelerator is on in this process, which reads the setting once.

    Args:
        name: One of FAST_PATHS.

    Raises:
        ConfigurationError: The setting is impossible.
    """
    return name in _enabled()


def fall_back(name: str, reason: str) -> None:
    """Log that an accelerator does not run, because a library lacks the internals that it uses.

    Args:
        name: One of FAST_PATHS.
        reason: What is missing.
    """
    logging.getLogger(__name__).warning("accelerator %s is off: %s", name, reason)


@functools.cache
def _enabled() -> frozenset[str]:
    return _names(load(FastPathSettings).fast_paths)


def _names(value: str) -> frozenset[str]:
    match value.lower():
        case "on":
            return frozenset(FAST_PATHS)
        case "off":
            return frozenset()
        case names:
            return frozenset(name.strip() for name in names.split(","))
