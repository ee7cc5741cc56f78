"""The audit of the frontend's dependencies: a real npm with a registry that has advisories, none, or no such endpoint."""

import gzip
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import pytest

from deploy import audit
from deploy.full_stack import FRONTEND

LOCKED = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
VERSIONS = {"lodash": ["4.17.15", "4.17.21"], "hono": [LOCKED["node_modules/hono"]["version"], "5.0.0"]}
"""Packages with an advisory for their first version, fixed in the second."""

type Registry = Callable[..., None]


class Handler(BaseHTTPRequestHandler):
    advisories: set[str] | None = None
    """Packages whose advisory is known; None: there is no such endpoint."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.advisories is None:
            self.reply(405, {})
        else:
            self.reply(200, {name: [advisory(name)] for name in self.advisories & json.loads(body).keys()})

    def do_GET(self) -> None:
        name = self.path.strip("/")
        versions = {each: {"name": name, "version": each} for each in VERSIONS[name]}
        self.reply(200, {"name": name, "dist-tags": {"latest": VERSIONS[name][1]}, "versions": versions})

    def reply(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @override
    def log_message(self, *_: object) -> None:
        pass


def advisory(name: str) -> dict[str, Any]:
    return {
        "id": sum(name.encode()),
        "url": f"https://example.com/advisories/GHSA-{name}",
        "title": name,
        "severity": "low",
        "vulnerable_versions": f"<{VERSIONS[name][1]}",
    }


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    if shutil.which("npm") is None:
        reason = "npm is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        for name in [each for each in os.environ if each.lower().startswith("npm_config_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        monkeypatch.setenv("npm_config_cache", str(tmp_path))
        # Both are the machine's; this test is about npm.
        monkeypatch.setattr(audit, "_query", lambda _: [])
        monkeypatch.delenv("AUDIT_REQUIRED", raising=False)

        def knows(advisories: set[str] | None) -> None:
            monkeypatch.setattr(Handler, "advisories", advisories)

        yield knows
        server.shutdown()


def test_a_vulnerable_dependency_fails_the_audit(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry({"hono", "lodash"})
    assert audit.main() == 1
    assert "audit: hono <5.0.0: GHSA-hono, fixed in hono 5.0.0\n" in capsys.readouterr().out


def test_no_vulnerable_dependency_passes_where_the_registry_knows_others(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry({"lodash"})
    assert audit.main() == 0
    said = capsys.readouterr().out
    assert "audit: npm checked " in said
    assert "NOT DONE: npm" not in said


@pytest.mark.parametrize(
    ("advisories", "reason"),
    [(None, "405 Method Not Allowed"), (set(), "the registry has no advisories")],
    ids=["no endpoint", "no advisories"],
)
def test_a_registry_without_advisories_is_reported_and_fails_a_required_audit(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    advisories: set[str] | None,
    reason: str,
) -> None:
    registry(advisories)
    for required, status in (("", 0), ("true", 1)):
        monkeypatch.setenv("AUDIT_REQUIRED", required)
        assert audit.main() == status
        assert f"audit: NOT DONE: npm audit of the frontend: {reason}" in capsys.readouterr().out
