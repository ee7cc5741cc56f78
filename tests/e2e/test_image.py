"""The image: small, without root, without a shell, with a list of what it holds."""

import json
import subprocess

import pytest

from tests.support.docker import docker, require_docker

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

TAG = "task-service:test"
SIZE_BUDGET_MEGABYTES = 180
"""What we add to the base image."""
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    require_docker()
    docker("buildx", "build", "--load", "--tag", TAG, ".")


def run(*command: str, entrypoint: str = "python") -> "subprocess.CompletedProcess[str]":
    arguments = ["docker", "run", "--rm", *HARDENED, "--entrypoint", entrypoint, TAG, *command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_the_image_adds_no_more_than_its_budget() -> None:
    base, ours = (
        int(docker("image", "inspect", name, "--format", "{{.Size}}")) for name in ("python:3.13-slim", TAG)
    )
    megabytes = (ours - base) / 1e6
    print(f"image: {ours / 1e6:.0f} MB, {megabytes:.0f} MB more than its base")
    assert megabytes < SIZE_BUDGET_MEGABYTES


def test_the_user_is_a_number_other_than_root_and_owns_nothing_it_runs() -> None:
    assert docker("image", "inspect", TAG, "--format", "{{.Config.User}}").strip() == "10001:10001"
    found = run(
        "-c", "import os, sys; print(os.getuid(), os.access(sys.prefix, os.W_OK), os.access('/app', os.W_OK))"
    )
    assert found.stdout.split() == ["10001", "False", "False"], found.stderr


def test_no_source_and_no_build_tool_is_left_in_it() -> None:
    listing = run(
        "-c", "import os, shutil; print(os.listdir('/app'), shutil.which('uv'), os.path.exists('/src'))"
    )
    assert listing.stdout.strip() == "['.venv'] None False"
    installed = run("-c", "import backend; print(backend.__path__[0])")
    assert installed.stdout.startswith("/app/.venv/lib/")


def test_the_sbom_names_every_distribution_in_it() -> None:
    script = (
        "import sys, json, importlib.metadata as m;"
        "sbom = json.load(open(sys.prefix + '/share/sbom.cdx.json'));"
        "print(json.dumps([sorted(d.name for d in m.distributions()), [c['name'] for c in sbom['components']]]))"
    )
    present, listed = json.loads(run("-c", script).stdout)
    assert len(present) > 30
    assert set(present) <= set(listed)


def test_a_setting_that_is_missing_is_one_line_and_no_start() -> None:
    result = run("serve", entrypoint="task-service")
    assert result.returncode == 2
    assert (
        result.stderr
        == "task-service: DATABASE_URL (or DATABASE_URL_FILE) must be set unless ENVIRONMENT=development\n"
    )


def test_labels_say_what_it_is() -> None:
    labels = json.loads(docker("image", "inspect", TAG, "--format", "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.title"] == "task-service"
    assert labels["org.opencontainers.image.licenses"] == "MIT"
