"""Every layer reads the same path under any root path: authentication, routes and URLs."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backend.config import Settings, load_settings
from backend.devtools.development_token import make_token
from backend.main import create_app
from backend.models.task import TaskRow, VersionedTask
from backend.platform.errors import ConfigurationError
from backend.platform.observability import tracing
from tests.support.asgi import Answer, call

NOW = datetime(2026, 1, 1, tzinfo=UTC)

# For each server: its root path, the prefix that it adds to a path, and the prefix of the URLs for clients.
SERVERS = {
    "uvicorn": ("/svc", "/svc", "/svc"),
    "uvicorn, slash at the end": ("/svc/", "/svc/", "/svc"),
    "uvicorn, no slash": ("svc", "svc", "/svc"),
    "uvicorn, two segments": ("/a/svc", "/a/svc", "/a/svc"),
    "uvicorn, encoded": ("/a%20b", "/a%20b", "/a%20b"),
    "uvicorn, only a slash": ("/", "/", ""),
    "Gunicorn, the proxy strips the prefix": ("/svc", "", "/svc"),
    "Gunicorn, the proxy passes it on": ("/svc", "/svc", "/svc"),
    "Gunicorn, slash at the end": ("/svc/", "/svc", "/svc"),
    "Gunicorn, encoded": ("/a%20b", "/a b", "/a%20b"),
    "Gunicorn, letters that a URL encodes": ("/dé", "/dé", "/d%C3%A9"),
    "no root path": ("", "", ""),
}


class OneTask:
    """Replaces `TaskService`: creates one task."""

    async def create(self, *_arguments: Any) -> VersionedTask:
        return VersionedTask(TaskRow(7, "alice", "Milk", None, False, NOW, NOW), version=1)  # noqa: FBT003 - positional in msgspec


@pytest.mark.parametrize("by_setting", [True, False], ids=["ROOT_PATH", "server"])
@pytest.mark.parametrize("name", SERVERS)
async def test_every_layer_reads_the_same_path(tmp_path: Path, name: str, *, by_setting: bool) -> None:
    root_path, server_prefix, url_prefix = SERVERS[name]
    settings = Settings.model_construct(data_dir=tmp_path, root_path=root_path if by_setting else "")
    app = create_app(settings)
    app.state.task_service = OneTask()
    scope: dict[str, Any] = {"root_path": "" if by_setting else root_path}

    async def send(method: str, path: str, **more: Any) -> Answer:
        return await call(app, method, server_prefix + path, **more, **scope)

    rejected = await send("GET", "/api/alice/tasks")
    assert (rejected.status, json.loads(rejected.body)["instance"]) == (401, f"{url_prefix}/api/alice/tasks")

    token = make_token(settings, "alice", lifetime_seconds=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    created = await send("POST", "/api/alice/tasks", headers=headers, body=b'{"title": "Milk"}')
    assert (created.status, created.header("location")) == (201, f"{url_prefix}/api/alice/tasks/7")
    assert (await send("GET", "/api/bob/tasks", headers=headers)).status == 403
    assert (await send("PUT", "/api/alice/tasks", headers=headers)).header(
        "allow"
    ) == "GET, HEAD, POST, DELETE"

    assert (await send("GET", "/health")).status == 200
    document = json.loads((await send("GET", "/openapi.json")).body)
    page = (await send("GET", "/docs")).body.decode()
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page)
    assert len(links) >= 4
    prefix = (
        url_prefix
        if "é" not in root_path and "%" not in root_path
        else f"/{root_path.replace('%20', ' ')[1:]}"
    )
    assert all(link.startswith(f"{prefix}/") and not link.startswith("//") for link in links)
    for link in links:
        assert (await send("GET", link.removeprefix(prefix))).status == 200
    assert document.get("servers", []) == ([{"url": prefix}] if url_prefix else [])
    rejected = await send("DELETE", "/static-offline-docs/swagger-ui.css")
    assert (rejected.status, rejected.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/svcapi/alice/tasks", "/svc", "/svc/svc/api/alice/tasks", "/SVC/api/alice/tasks"]
)
async def test_a_path_outside_of_the_root_path_is_not_found(tmp_path: Path, path: str) -> None:
    app = create_app(Settings.model_construct(data_dir=tmp_path, root_path="/svc"))
    assert (await call(app, "GET", path)).status == 404


async def test_probes_have_no_span_and_head_is_reported_as_head(tmp_path: Path) -> None:
    settings = Settings.model_construct(data_dir=tmp_path, root_path="/svc")
    app = create_app(settings)
    exporter = InMemorySpanExporter()
    shutdown = tracing.install_tracer_provider(settings, exporter)
    await call(app, "GET", "/svc/livez")
    await call(app, "HEAD", "/svc/docs")
    shutdown()
    assert [span.name for span in exporter.get_finished_spans()] == ["HEAD /docs"]


@pytest.mark.parametrize("path", ["svc", "/a b", "/svc?x", "/svc#x", "http://example.com/svc"])
def test_an_invalid_root_path_is_rejected(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_PATH", path)
    with pytest.raises(ConfigurationError, match="ROOT_PATH: must be a path that starts with a slash"):
        load_settings()


@pytest.mark.parametrize("path", ["/api", "/api/", "//api/v1", "/%61pi"])
def test_a_root_path_that_collides_with_the_api_is_rejected(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT_PATH", path)
    with pytest.raises(ConfigurationError, match="ROOT_PATH: must not be /api"):
        load_settings()
