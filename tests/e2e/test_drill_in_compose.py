"""A drill makes compose's own service fail, and leaves it as it was."""

import os
import secrets
import subprocess
import sys

import pytest

from tests.support.docker import ROOT, Compose, require_docker
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_it_fails_as_announced_and_serves_in_production_again() -> None:
    require_docker()
    project, port = f"task-service-drill-{secrets.token_hex(4)}", str(free_port())
    environment = {
        "PORT": port,
        "POSTGRES_PASSWORD": secrets.token_hex(16),
        "BETTER_AUTH_SECRET": secrets.token_hex(32),
        "FRONTEND_SECRET": "unused",
    }
    compose = Compose(project, environment)
    try:
        compose("up", "--build", "--wait", "--detach", "db", "migrate", "api", check=False)
        result = subprocess.run(
            [sys.executable, "-m", "deploy.drill", "--compose", f"--port={port}", "--seconds=3", "failing"],
            cwd=ROOT,
            env=os.environ | environment | {"COMPOSE_PROJECT_NAME": project, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert " × 500" in result.stdout
        assert compose.states()["api"]["Health"] == "healthy"
        left = compose("exec", "-T", "api", "env")
        assert "ENVIRONMENT=production" in left
        assert "FAULT_" not in left
    finally:
        compose("down", "--volumes", "--timeout", "5")
