"""The chart as `helm template` renders it, once in a run for the same values."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.waiting import scaled

__all__ = [
    "CHART",
    "Manifest",
    "helm",
    "manifests_of",
    "refusal",
    "render",
    "render_text",
    "require_helm",
    "require_helm3",
    "template",
]

CHART = Path(__file__).parents[2] / "charts" / "task-service"

Manifest = dict[str, Any]


def require_helm() -> None:
    """Skip where there is no helm; in CI fail."""
    if shutil.which("helm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("helm is not installed, and CI=true: nothing may be skipped")
        pytest.skip("helm is not installed")


def require_helm3() -> str:
    """Return the path of Helm 3: HELM3, or `helm3` on the PATH; skip where there is none, in CI fail."""
    program = os.environ.get("HELM3") or shutil.which("helm3")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("HELM3 names no Helm 3, and CI=true: nothing may be skipped")
        pytest.skip("HELM3 names no Helm 3")
    return program


def helm(*arguments: str, check: bool = True, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run helm; `text` is its input."""
    return subprocess.run(
        ["helm", *arguments], input=text, capture_output=True, text=True, check=check, timeout=scaled(120)
    )


def template(
    values: Mapping[str, Any], *, chart: Path = CHART, release: str = "demo", namespace: str = "tasks"
) -> tuple[list[Manifest], str]:
    """Render values as a file of them gives them, for `--set` converts what it is given.

    Returns:
        The objects and an empty text, or none and what helm says against the values.
    """
    arguments = (release, str(chart), f"--namespace={namespace}", "--values=-")
    result = _rendered(*arguments, text=json.dumps(values))
    if result.returncode != 0:
        return [], result.stderr
    return manifests_of(result.stdout), ""


def manifests_of(text: str) -> list[Manifest]:
    """Return the objects of a rendered text; libyaml reads it ten times faster than Python."""
    return [manifest for manifest in yaml.load_all(text, Loader=yaml.CSafeLoader) if manifest]


@functools.cache
def _rendered(*arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Return what `helm template` says; equal arguments give equal bytes, as test_chart.py checks."""
    return helm("template", *arguments, check=False, text=text)


def render_text(*values: str, release: str = "demo", files: tuple[Path, ...] = ()) -> str:
    """Return what helm would hand to the cluster.

    Args:
        values: Each `name=value`, as after `--set`.
        release: Its name.
        files: Of values, as after `--values`.
    """
    options = [f"--set={value}" for value in values] + [f"--values={file}" for file in files]
    result = _rendered(release, str(CHART), "--namespace=tasks", *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def render(
    *values: str, release: str = "demo", files: tuple[Path, ...] = ()
) -> Mapping[tuple[str, str], Manifest]:
    """Return the objects, by kind and by name without the release's."""
    manifests = manifests_of(render_text(*values, release=release, files=files))
    prefix = f"{release}-task-service"
    return {
        (manifest["kind"], manifest["metadata"]["name"].removeprefix(prefix).removeprefix("-")): manifest
        for manifest in manifests
    }


def refusal(*values: str) -> str:
    """Return why helm will not render these values."""
    result = _rendered("demo", str(CHART), *[f"--set={value}" for value in values])
    assert result.returncode != 0, "it rendered"
    return result.stderr
