"""A real Prometheus and promtool, and the rules as they are rendered."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import scaled

__all__ = ["promtool", "require_prometheus"]


def require_prometheus() -> None:
    """Skip where there is no Prometheus; in CI fail."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and CI=true: nothing may be skipped")
        pytest.skip(reason)


def promtool(*arguments: str, folder: Path) -> None:
    """Run promtool; it has to succeed."""
    result = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=scaled(100)
    )
    assert result.returncode == 0, result.stdout + result.stderr
