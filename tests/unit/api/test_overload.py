"""A worker answers as many requests at once as it can, each within its time."""

import asyncio
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.middleware import overload
from backend.api.middleware.overload import OverloadMiddleware
from backend.auth.principal import Principal


class Inner:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.entered.release()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


def limited(inner: ASGIApp, *, max_concurrent_of_user: int = 100, **limits: Any) -> OverloadMiddleware:
    return OverloadMiddleware(inner, max_concurrent_of_user=max_concurrent_of_user, **limits)


async def call(
    app: OverloadMiddleware, path: str = "/api/alice/tasks", user: str = "alice"
) -> tuple[int, dict[bytes, bytes]]:
    started: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [],
        "state": {"request_id": "1", "principal": Principal(user)},
    }
    await app(scope, receive, send)
    return started[0]["status"], dict(started[0]["headers"])


async def test_beyond_its_capacity_a_worker_lets_requests_wait_in_line() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, wait_seconds=5)
    calls = [asyncio.create_task(call(app)) for _ in range(4)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    await asyncio.sleep(0)
    assert inner.entered.locked()
    inner.may_answer.set()
    assert [(await each)[0] for each in calls] == [200] * 4


async def test_who_waits_too_long_is_answered_503_and_probes_still_pass() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, wait_seconds=0.05)
    under_way = [asyncio.create_task(call(app)) for _ in range(2)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    probe = asyncio.create_task(call(app, "/livez"))
    inner.may_answer.set()
    assert (await probe)[0] == 200
    assert [(await task)[0] for task in under_way] == [200, 200]
    assert (await call(app))[0] == 200


async def test_who_finds_a_long_line_is_answered_503_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_MOST_WAITING", 1)
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=5, wait_seconds=60)
    under_way = asyncio.create_task(call(app))
    await inner.entered.acquire()
    in_line = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    assert (await call(app))[0] == 503
    inner.may_answer.set()
    assert [(await each)[0] for each in (under_way, in_line)] == [200, 200]


async def test_an_answer_that_takes_too_long_is_504_and_frees_its_place() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=0.05)
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (504, b"2")
    inner.may_answer.set()
    assert (await call(app))[0] == 200


async def test_a_timeout_of_something_else_is_not_taken_for_ours() -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await call(limited(failing, max_concurrent=1, timeout_seconds=5))


async def test_the_many_requests_of_one_user_do_not_delay_another() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=10, max_concurrent_of_user=2, timeout_seconds=5)
    many = [asyncio.create_task(call(app)) for _ in range(6)]
    for _ in range(2):
        await inner.entered.acquire()
    other = asyncio.create_task(call(app, user="bob"))
    async with asyncio.timeout(1):
        await inner.entered.acquire()
    assert inner.entered.locked()  # the other four of alice's wait
    inner.may_answer.set()
    assert [(await each)[0] for each in (*many, other)] == [200] * 7
    assert not app._places_of


async def test_a_user_who_waits_too_long_for_a_turn_of_theirs_is_answered_503() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=10, max_concurrent_of_user=1, timeout_seconds=5, wait_seconds=0.05)
    first = asyncio.create_task(call(app))
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    inner.may_answer.set()
    assert (await first)[0] == 200
    assert (await call(app))[0] == 200
    assert not app._places_of
