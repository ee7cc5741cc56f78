"""A worker answers as many requests at once as it can, each within its time."""

import asyncio
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.platform.auth.principal import Principal
from backend.platform.http.middleware import concurrency_limit
from backend.platform.http.middleware.concurrency_limit import ConcurrencyLimitMiddleware
from tests.support.virtual_time import in_virtual_time
from tests.support.waiting import timeout


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


def limited(
    inner: ASGIApp, *, max_concurrent_of_user: int = 100, **limits: Any
) -> ConcurrencyLimitMiddleware:
    return ConcurrencyLimitMiddleware(inner, max_concurrent_of_user=max_concurrent_of_user, **limits)


async def call(
    app: ConcurrencyLimitMiddleware, path: str = "/api/alice/tasks", user: str | None = "alice"
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
        "state": {"request_id": "1"} | ({"principal": Principal(user)} if user else {}),
    }
    await app(scope, receive, send)
    return started[0]["status"], dict(started[0]["headers"])


@in_virtual_time
async def test_beyond_its_capacity_a_worker_lets_requests_wait_in_line() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, queue_timeout_seconds=5)
    calls = [asyncio.create_task(call(app)) for _ in range(4)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    await asyncio.sleep(0)
    assert inner.entered.locked()
    inner.may_answer.set()
    assert [(await each)[0] for each in calls] == [200] * 4


@in_virtual_time
async def test_who_waits_too_long_is_answered_503_and_probes_still_pass() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, queue_timeout_seconds=0.05)
    under_way = [asyncio.create_task(call(app)) for _ in range(2)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    probe = asyncio.create_task(call(app, "/livez", user=None))
    inner.may_answer.set()
    assert (await probe)[0] == 200
    assert [(await task)[0] for task in under_way] == [200, 200]
    assert (await call(app))[0] == 200


@in_virtual_time
async def test_who_finds_a_long_line_is_answered_503_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_WAITING", 1)
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=5, queue_timeout_seconds=60)
    under_way = asyncio.create_task(call(app))
    await inner.entered.acquire()
    in_line = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    assert (await call(app))[0] == 503
    inner.may_answer.set()
    assert [(await each)[0] for each in (under_way, in_line)] == [200, 200]


@in_virtual_time
async def test_an_answer_that_takes_too_long_is_504_and_frees_its_place() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=0.05)
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (504, b"2")
    inner.may_answer.set()
    assert (await call(app))[0] == 200


@in_virtual_time
async def test_a_timeout_of_something_else_is_not_taken_for_ours() -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await call(limited(failing, max_concurrent=1, timeout_seconds=5))


@in_virtual_time
async def test_the_many_requests_of_one_user_do_not_delay_another() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=10, max_concurrent_of_user=2, timeout_seconds=5)
    many = [asyncio.create_task(call(app)) for _ in range(6)]
    for _ in range(2):
        await inner.entered.acquire()
    other = asyncio.create_task(call(app, user="bob"))
    async with timeout(1):
        await inner.entered.acquire()
    assert inner.entered.locked()  # the other four of alice's wait
    inner.may_answer.set()
    assert [(await each)[0] for each in (*many, other)] == [200] * 7
    assert not app._limiter_by_user


@in_virtual_time
async def test_a_user_who_waits_too_long_for_a_turn_of_theirs_is_answered_503() -> None:
    inner = Inner()
    app = limited(
        inner, max_concurrent=10, max_concurrent_of_user=1, timeout_seconds=5, queue_timeout_seconds=0.05
    )
    first = asyncio.create_task(call(app))
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    inner.may_answer.set()
    assert (await first)[0] == 200
    assert (await call(app))[0] == 200
    assert not app._limiter_by_user


@in_virtual_time
async def test_the_longest_line_is_the_workers_and_not_each_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_WAITING", 3)
    inner = Inner()
    app = limited(
        inner, max_concurrent=1, max_concurrent_of_user=1, timeout_seconds=60, queue_timeout_seconds=10
    )
    # One of alice's is answered and two wait for it; bob waits for the worker.
    under_way = [asyncio.create_task(call(app, user=user)) for user in ("alice", "alice", "alice", "bob")]
    await inner.entered.acquire()
    for user in ("alice", "bob", "carol"):
        assert (await call(app, user=user))[0] == 503
    assert asyncio.get_running_loop().time() == 0
    inner.may_answer.set()
    assert [(await each)[0] for each in under_way] == [200] * 4


@in_virtual_time
async def test_one_user_leaves_room_in_line_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_WAITING", 3)
    monkeypatch.setattr(concurrency_limit, "_MAX_WAITING_OF_USER", 2)
    inner = Inner()
    app = limited(
        inner, max_concurrent=1, max_concurrent_of_user=1, timeout_seconds=60, queue_timeout_seconds=10
    )
    under_way = [asyncio.create_task(call(app)) for _ in range(3)]
    await inner.entered.acquire()
    assert (await call(app))[0] == 503
    other = asyncio.create_task(call(app, user="bob"))
    await asyncio.sleep(1)
    inner.may_answer.set()
    assert [(await each)[0] for each in (*under_way, other)] == [200] * 4


@in_virtual_time
async def test_one_deadline_holds_for_both_waits() -> None:
    gates = [asyncio.Event() for _ in range(3)]
    entered: list[int] = []

    async def answer_when_told(_scope: Scope, _receive: Receive, send: Send) -> None:
        number = len(entered)
        entered.append(number)
        await gates[number].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    app = limited(
        answer_when_told,
        max_concurrent=2,
        max_concurrent_of_user=1,
        timeout_seconds=60,
        queue_timeout_seconds=1.0,
    )
    first, other = asyncio.create_task(call(app)), asyncio.create_task(call(app, user="bob"))
    await asyncio.sleep(0)
    second = asyncio.create_task(call(app))  # waits for alice's place
    third = asyncio.create_task(call(app, user="carol"))  # waits for the worker's
    await asyncio.sleep(0.6)
    gates[0].set()  # alice's place is hers, but carol has the worker's
    assert (await first)[0] == 200
    assert (await second)[0] == 503
    assert asyncio.get_running_loop().time() == pytest.approx(1.0)
    for gate in gates:
        gate.set()
    assert [(await each)[0] for each in (other, third)] == [200, 200]
    assert not app._limiter_by_user


@in_virtual_time
async def test_a_request_that_was_cancelled_makes_room_in_line_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_WAITING", 2)
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=60, queue_timeout_seconds=10)
    under_way = asyncio.create_task(call(app))
    await inner.entered.acquire()
    in_line = [asyncio.create_task(call(app)) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await call(app))[0] == 503
    in_line[1].cancel()
    await asyncio.sleep(0)
    newcomer = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    inner.may_answer.set()
    assert [(await each)[0] for each in (under_way, in_line[0], newcomer)] == [200] * 3
