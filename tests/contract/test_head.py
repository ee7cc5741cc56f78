"""HEAD over a socket: the headers of GET, and the next response follows at once (RFC 9112 §6.3)."""

from typing import Any

import pytest

from backend.config import Settings
from backend.main import create_app
from tests.support.raw_http import exchange
from tests.support.routes import endpoints
from tests.support.service import RunningService, User

PATHS = [each.path for each in endpoints(create_app(Settings.model_construct())) if each.method == "GET"]
OPTIONAL: dict[str, dict[str, str]] = {
    "of the next page": {},
    "not modified": {"If-None-Match": "*"},
    "not met": {"If-Match": '"v9"'},
    "wrong": {"If-Match": "v9"},
    "another user": {"Authorization": "Bearer {bob}"},
    "no token": {"Authorization": ""},
}


async def bytes_of(service: RunningService, method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n{lines}\r\n"
    return await exchange(service.url, head.encode())


def head_of(answer: bytes, *, without: tuple[bytes, ...]) -> list[bytes]:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line for line in lines if not line.lower().startswith(without)]


@pytest.mark.parametrize("case", OPTIONAL)
@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_the_body(
    service: RunningService, alice: User, path: str, case: str
) -> None:
    task, _ = await alice.create(), await alice.create()
    values: dict[str, Any] = {"user_id": alice.id, "task_id": task["id"]}
    headers = {"Authorization": f"Bearer {service.token(alice.id)}"} | OPTIONAL[case]
    headers["Authorization"] = headers["Authorization"].replace("{bob}", service.token("bob"))
    address = path.format_map(values) + ("?limit=1" if path.endswith("/tasks") else "")
    get = await bytes_of(service, "GET", address, headers)
    head = await bytes_of(service, "HEAD", address, headers)
    changing = (b"date:", b"x-request-id:") + ((b"content-length:",) if path == "/metrics" else ())
    assert head_of(head, without=changing) == head_of(get, without=changing)
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    # An error's length counts the id of the request, which is as long in both.
    assert (b"content-length: " in head.lower()) == (b" 304 " not in head.splitlines()[0])


async def test_a_task_that_is_missing_is_404(alice: User) -> None:
    answer = await alice.client.head(f"{alice.tasks}/9223372036854775807")
    assert (answer.status_code, answer.content) == (404, b"")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) > 0
