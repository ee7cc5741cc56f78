"""ConcurrencyLimitMiddleware: capacity of a worker, queues, and time limits."""

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
    """An application that responds once `may_respond` is set."""

    def __init__(self) -> None:
        self.may_respond = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.entered.release()
        await self.may_respond.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


def limited(
    inner: ASGIApp, *, max_concurrent_per_user: int = 100, **limits: Any
) -> ConcurrencyLimitMiddleware:
    return ConcurrencyLimitMiddleware(inner, max_concurrent_per_user=max_concurrent_per_user, **limits)


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
async def test_requests_beyond_the_capacity_are_queued() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, queue_timeout_seconds=5)
    calls = [asyncio.create_task(call(app)) for _ in range(4)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    await asyncio.sleep(0)
    assert inner.entered.locked()
    inner.may_respond.set()
    assert [(await each)[0] for each in calls] == [200] * 4


@in_virtual_time
async def test_a_request_that_waits_too_long_gets_503_and_probes_pass() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=2, timeout_seconds=5, queue_timeout_seconds=0.05)
    running = [asyncio.create_task(call(app)) for _ in range(2)]
    await inner.entered.acquire()
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    probe = asyncio.create_task(call(app, "/livez", user=None))
    inner.may_respond.set()
    assert (await probe)[0] == 200
    assert [(await task)[0] for task in running] == [200, 200]
    assert (await call(app))[0] == 200


@in_virtual_time
async def test_a_full_queue_rejects_requests_at_once_with_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_QUEUED", 1)
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=5, queue_timeout_seconds=60)
    running = asyncio.create_task(call(app))
    await inner.entered.acquire()
    queued = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    assert (await call(app))[0] == 503
    inner.may_respond.set()
    assert [(await each)[0] for each in (running, queued)] == [200, 200]


@in_virtual_time
async def test_a_response_that_takes_too_long_is_504_and_releases_its_permit() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=0.05)
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (504, b"2")
    inner.may_respond.set()
    assert (await call(app))[0] == 200


@in_virtual_time
async def test_a_timeout_error_of_the_application_is_not_handled() -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await call(limited(failing, max_concurrent=1, timeout_seconds=5))


@in_virtual_time
async def test_many_requests_of_one_user_do_not_delay_another_user() -> None:
    inner = Inner()
    app = limited(inner, max_concurrent=10, max_concurrent_per_user=2, timeout_seconds=5)
    many = [asyncio.create_task(call(app)) for _ in range(6)]
    for _ in range(2):
        await inner.entered.acquire()
    other = asyncio.create_task(call(app, user="bob"))
    async with timeout(1):
        await inner.entered.acquire()
    assert inner.entered.locked()  # alice's other four requests wait
    inner.may_respond.set()
    assert [(await each)[0] for each in (*many, other)] == [200] * 7
    assert not app._limiter_by_user


@in_virtual_time
async def test_a_request_that_waits_too_long_in_the_queue_of_its_user_gets_503() -> None:
    inner = Inner()
    app = limited(
        inner, max_concurrent=10, max_concurrent_per_user=1, timeout_seconds=5, queue_timeout_seconds=0.05
    )
    first = asyncio.create_task(call(app))
    await inner.entered.acquire()
    status, headers = await call(app)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    inner.may_respond.set()
    assert (await first)[0] == 200
    assert (await call(app))[0] == 200
    assert not app._limiter_by_user


@in_virtual_time
async def test_the_queue_limit_applies_to_all_queues_of_a_worker_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_QUEUED", 3)
    inner = Inner()
    app = limited(
        inner, max_concurrent=1, max_concurrent_per_user=1, timeout_seconds=60, queue_timeout_seconds=10
    )
    # One request of alice runs and two wait for it. Bob's request waits for the worker.
    running = [asyncio.create_task(call(app, user=user)) for user in ("alice", "alice", "alice", "bob")]
    await inner.entered.acquire()
    for user in ("alice", "bob", "carol"):
        assert (await call(app, user=user))[0] == 503
    assert asyncio.get_running_loop().time() == 0
    inner.may_respond.set()
    assert [(await each)[0] for each in running] == [200] * 4


@in_virtual_time
async def test_one_user_cannot_fill_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_QUEUED", 3)
    monkeypatch.setattr(concurrency_limit, "_MAX_QUEUED_PER_USER", 2)
    inner = Inner()
    app = limited(
        inner, max_concurrent=1, max_concurrent_per_user=1, timeout_seconds=60, queue_timeout_seconds=10
    )
    running = [asyncio.create_task(call(app)) for _ in range(3)]
    await inner.entered.acquire()
    assert (await call(app))[0] == 503
    other = asyncio.create_task(call(app, user="bob"))
    await asyncio.sleep(1)
    inner.may_respond.set()
    assert [(await each)[0] for each in (*running, other)] == [200] * 4


@in_virtual_time
async def test_both_queues_have_one_deadline_together() -> None:
    gates = [asyncio.Event() for _ in range(3)]
    entered: list[int] = []

    async def respond_after_gate(_scope: Scope, _receive: Receive, send: Send) -> None:
        number = len(entered)
        entered.append(number)
        await gates[number].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    app = limited(
        respond_after_gate,
        max_concurrent=2,
        max_concurrent_per_user=1,
        timeout_seconds=60,
        queue_timeout_seconds=1.0,
    )
    first, other = asyncio.create_task(call(app)), asyncio.create_task(call(app, user="bob"))
    await asyncio.sleep(0)
    second = asyncio.create_task(call(app))  # waits for alice's permit
    third = asyncio.create_task(call(app, user="carol"))  # waits for a permit of the worker
    await asyncio.sleep(0.6)
    gates[0].set()  # alice's permit is free, but carol's request has that of the worker
    assert (await first)[0] == 200
    assert (await second)[0] == 503
    assert asyncio.get_running_loop().time() == pytest.approx(1.0)
    for gate in gates:
        gate.set()
    assert [(await each)[0] for each in (other, third)] == [200, 200]
    assert not app._limiter_by_user


@in_virtual_time
async def test_a_cancelled_request_leaves_the_queue_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency_limit, "_MAX_QUEUED", 2)
    inner = Inner()
    app = limited(inner, max_concurrent=1, timeout_seconds=60, queue_timeout_seconds=10)
    running = asyncio.create_task(call(app))
    await inner.entered.acquire()
    queued = [asyncio.create_task(call(app)) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await call(app))[0] == 503
    queued[1].cancel()
    await asyncio.sleep(0)
    newcomer = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    inner.may_respond.set()
    assert [(await each)[0] for each in (running, queued[0], newcomer)] == [200] * 3
