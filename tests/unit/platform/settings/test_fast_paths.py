"""FAST_PATHS: which accelerators run."""

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.settings import fast_paths
from backend.platform.settings.base import load
from backend.platform.settings.fast_paths import FAST_PATHS, FastPathSettings, is_on


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("on", {*FAST_PATHS}),
        ("off", set()),
        ("OFF", set()),
        ("fast_route", {"fast_route"}),
        ("access_log, fast_route", {"access_log", "fast_route"}),
    ],
)
def test_the_setting_names_accelerators(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: set[str]
) -> None:
    monkeypatch.setenv("FAST_PATHS", value)
    fast_paths._enabled.cache_clear()
    try:
        assert {name for name in FAST_PATHS if is_on(name)} == expected
    finally:
        fast_paths._enabled.cache_clear()


@pytest.mark.parametrize("value", ["yes", "fast_route,slow_route", "on,off", ","])
def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FAST_PATHS", value)
    with pytest.raises(ConfigurationError, match=r"^FAST_PATHS: must be on, off, or some of fast_route, "):
        load(FastPathSettings)
