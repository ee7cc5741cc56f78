"""Every GET route responds to HEAD like GET, without the body (RFC 9110 §9.3.2)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.types import Message

from backend.config import Settings
from backend.main import _ops_app, create_app
from backend.platform.http.middleware.head import HeadMiddleware
from tests.support.asgi import Answer, call
from tests.support.routes import endpoints

OPS_PORT = 9000
VARYING_HEADERS = {b"x-request-id", b"date"}


class StubReadiness:
    """Replaces the readiness check of `/readyz`."""

    async def not_ready_reason(self) -> str | None:
        return "draining"


def app_with(tmp_path: Path, ops_port: int | None = None) -> FastAPI:
    app = create_app(Settings.model_construct(data_dir=tmp_path, ops_port=ops_port))
    app.state.readiness = StubReadiness()
    return app


def stable_part(response: Answer, path: str) -> tuple[int, list[tuple[bytes, bytes]]]:
    # The metrics change between requests, and with them their length.
    skipped = VARYING_HEADERS | ({b"content-length"} if path == "/metrics" else set())
    return response.status, [each for each in response.headers if each[0] not in skipped]


def open_paths() -> Iterator[str]:
    app = create_app(Settings.model_construct())
    yield from (each.path for each in endpoints(app) if each.method == "GET")
    yield "/nowhere"


@pytest.mark.parametrize("path", list(open_paths()))
async def test_head_has_the_headers_of_get_and_no_body(tmp_path: Path, path: str) -> None:
    app = app_with(tmp_path)
    get, head = await call(app, "GET", path), await call(app, "HEAD", path)
    assert stable_part(head, path) == stable_part(get, path)
    assert (head.header("content-length") or "0") != "0"
    assert (get.body != b"", head.body) == (True, b"")


@pytest.mark.parametrize("path", [each.path for each in endpoints(_ops_app())] + ["/nowhere"])
async def test_the_ops_port_responds_to_head(tmp_path: Path, path: str) -> None:
    app = app_with(tmp_path, OPS_PORT)
    server: dict[str, Any] = {"server": ("127.0.0.1", OPS_PORT)}
    ops: Any = next(each.kwargs["ops"] for each in app.user_middleware if "ops" in each.kwargs)
    ops.state.readiness = StubReadiness()
    get, head = await call(app, "GET", path, **server), await call(app, "HEAD", path, **server)
    assert stable_part(head, path) == stable_part(get, path)
    assert (get.body != b"", head.body) == (True, b"")
    rejected = await call(app, "POST", path, **server)
    if path != "/nowhere":
        assert (rejected.status, rejected.header("allow")) == (405, "GET, HEAD")
    assert rejected.header("content-type") == "application/problem+json"


@pytest.mark.parametrize("path", list(open_paths())[:-1])
async def test_allow_contains_get_and_head(tmp_path: Path, path: str) -> None:
    if not path.startswith("/api/"):
        response = await call(app_with(tmp_path), "POST", path)
        assert (response.status, response.header("allow")) == (405, "GET, HEAD")


async def test_the_body_of_a_stream_is_dropped_and_its_end_is_sent() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = scope["method"]
        await StreamingResponse(iter(["a", "b"]))(scope, receive, send)

    scope: dict[str, Any] = {"type": "http", "method": "HEAD", "asgi": {"spec_version": "2.4"}}
    await HeadMiddleware(stream)(scope, receive, send)
    assert sent[1:] == [{"type": "http.response.body"}]
    # The scope outside keeps its method and has the route.
    assert (scope["method"], scope["route"]) == ("HEAD", "GET")
