"""HEAD is answered as GET is, without the body (RFC 9110 §9.3.2), by every route that answers GET."""

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
CHANGES = {b"x-request-id", b"date"}


class Ready:
    """Stands for the database that `/readyz` asks."""

    async def not_ready_reason(self) -> str | None:
        return "draining"


def app_with(tmp_path: Path, ops_port: int | None = None) -> FastAPI:
    app = create_app(Settings.model_construct(data_dir=tmp_path, ops_port=ops_port))
    app.state.readiness = Ready()
    return app


def without_changes(answer: Answer, path: str) -> tuple[int, list[tuple[bytes, bytes]]]:
    # The metrics themselves change from one request to the next, and with them their length.
    skipped = CHANGES | ({b"content-length"} if path == "/metrics" else set())
    return answer.status, [each for each in answer.headers if each[0] not in skipped]


def open_paths() -> Iterator[str]:
    app = create_app(Settings.model_construct())
    yield from (each.path for each in endpoints(app) if each.method == "GET")
    yield "/nowhere"


@pytest.mark.parametrize("path", list(open_paths()))
async def test_head_has_the_headers_of_get_and_no_body(tmp_path: Path, path: str) -> None:
    app = app_with(tmp_path)
    get, head = await call(app, "GET", path), await call(app, "HEAD", path)
    assert without_changes(head, path) == without_changes(get, path)
    assert (head.header("content-length") or "0") != "0"
    assert (get.body != b"", head.body) == (True, b"")


@pytest.mark.parametrize("path", [each.path for each in endpoints(_ops_app())] + ["/nowhere"])
async def test_the_ops_port_answers_head_too(tmp_path: Path, path: str) -> None:
    app = app_with(tmp_path, OPS_PORT)
    server: dict[str, Any] = {"server": ("127.0.0.1", OPS_PORT)}
    ops: Any = next(each.kwargs["ops"] for each in app.user_middleware if "ops" in each.kwargs)
    ops.state.readiness = Ready()
    get, head = await call(app, "GET", path, **server), await call(app, "HEAD", path, **server)
    assert without_changes(head, path) == without_changes(get, path)
    assert (get.body != b"", head.body) == (True, b"")
    refused = await call(app, "POST", path, **server)
    if path != "/nowhere":
        assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
    assert refused.header("content-type") == "application/problem+json"


@pytest.mark.parametrize("path", list(open_paths())[:-1])
async def test_allow_names_head_beside_get(tmp_path: Path, path: str) -> None:
    if not path.startswith("/api/"):
        answer = await call(app_with(tmp_path), "POST", path)
        assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


async def test_the_body_of_a_stream_is_left_out_and_its_end_is_sent() -> None:
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
    # Seen from outside, the method stays, and the route is known.
    assert (scope["method"], scope["route"]) == ("HEAD", "GET")
