"""Turns accelerators on for one test, whatever FAST_PATHS says."""

import pytest

from backend.platform.settings import fast_paths

__all__ = ["set_fast_paths"]


def set_fast_paths(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have these accelerators on and no others, until the test ends."""
    monkeypatch.setattr(fast_paths, "_enabled", lambda: frozenset(names))
