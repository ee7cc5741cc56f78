"""A user may send so many requests a minute, whatever others do."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from backend.platform.auth.principal import Principal
from backend.platform.http.middleware import rate_limit
from backend.platform.http.middleware.rate_limit import RateLimitMiddleware


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


async def call(app: RateLimitMiddleware, user: str | None) -> tuple[int, dict[bytes, bytes]]:
    started: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    state = {"request_id": "1"} | ({"principal": Principal(user)} if user else {})
    scope = {"type": "http", "method": "GET", "path": "/api/alice/tasks", "headers": [], "state": state}
    await app(scope, receive, send)
    return started[0]["status"], dict(started[0]["headers"])


async def test_beyond_the_limit_the_answer_is_429_and_says_when_to_come_back() -> None:
    app = RateLimitMiddleware(answer, limit=3, clock=Clock(), hold_seconds=0)
    assert [(await call(app, "alice"))[0] for _ in range(4)] == [200, 200, 200, 429]
    status, headers = await call(app, "alice")
    assert (status, headers[b"retry-after"], headers[b"content-type"]) == (
        429,
        b"20",
        b"application/problem+json",
    )
    assert headers[b"ratelimit"] == b'"user";r=0;t=60'


async def test_each_answer_says_what_is_left() -> None:
    app = RateLimitMiddleware(answer, limit=3, clock=Clock(), hold_seconds=0)
    headers = [(await call(app, "alice"))[1] for _ in range(3)]
    assert [each[b"ratelimit"] for each in headers] == [
        b'"user";r=2;t=20',
        b'"user";r=1;t=40',
        b'"user";r=0;t=60',
    ]
    assert headers[0][b"ratelimit-policy"] == b'"user";q=3;w=60'


async def test_one_user_does_not_use_up_anothers_limit() -> None:
    app = RateLimitMiddleware(answer, limit=1, clock=Clock(), hold_seconds=0)
    assert [(await call(app, user))[0] for user in ("alice", "bob", "alice")] == [200, 200, 429]


async def test_time_gives_requests_back_one_by_one() -> None:
    clock = Clock()
    app = RateLimitMiddleware(answer, limit=2, clock=clock, hold_seconds=0)
    assert [(await call(app, "alice"))[0] for _ in range(3)] == [200, 200, 429]
    clock.now += 30
    assert [(await call(app, "alice"))[0] for _ in range(2)] == [200, 429]
    clock.now += 3600
    assert [(await call(app, "alice"))[0] for _ in range(3)] == [200, 200, 429]


async def test_who_is_not_known_is_not_counted() -> None:
    app = RateLimitMiddleware(answer, limit=1, clock=Clock(), hold_seconds=0)
    assert [(await call(app, None))[0] for _ in range(3)] == [200, 200, 200]


async def test_a_refusal_comes_late_so_that_trying_again_at_once_gains_nothing() -> None:
    app = RateLimitMiddleware(answer, limit=1, clock=Clock(), hold_seconds=0.1)
    await call(app, "alice")
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await call(app, "alice"))[0] == 429
    assert loop.time() - started > 0.09


async def test_refusals_held_back_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MOST_HELD", 1)
    app = RateLimitMiddleware(answer, limit=1, clock=Clock(), hold_seconds=60)
    await call(app, "alice")
    held = asyncio.create_task(call(app, "alice"))
    await asyncio.sleep(0)
    assert (await call(app, "alice"))[0] == 429
    assert not held.done()
    held.cancel()
