"""A proxy and the service agree on which requests there are, their targets and whose they are.

Each request of the corpus goes through nginx or HAProxy, or straight to the service. What the proxy's access log
says it has forwarded is compared with what reaches the application. A request that only the service knows is
request smuggling.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.platform.http.request_headers import header_values
from tests.support.raw_http import exchange_all, statuses_of
from tests.support.raw_requests import RAW_REQUESTS, SENTINEL, RawRequest
from tests.support.reverse_proxies import PROXIES, ReverseProxy, run_reverse_proxy
from tests.support.service import RunningService, running_service, service_settings
from tests.support.waiting import poll_until

type Seen = tuple[str, str, str]
"""Method, target in origin form, and Authorization."""

_CORPUS = tuple(request for request in RAW_REQUESTS if len(request.raw) < 100_000)

_REFUSALS = {400, 413, 431, 501, 505}
"""Statuses of requests that never reach the application."""


class Recorded:
    """The service, and the requests that reached it."""

    def __init__(self) -> None:
        self.seen: Counter[Seen] = Counter()
        self.service: RunningService

    def wrap(self, app: ASGIApp) -> ASGIApp:
        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                query = scope["query_string"].decode()
                target = scope["raw_path"].decode() + (f"?{query}" if query else "")
                authorization = ", ".join(header_values(scope, b"authorization"))
                self.seen[scope["method"], target, authorization] += 1
            await app(scope, receive, send)

        return record

    def written(self, request: RawRequest, number: int) -> bytes:
        """Return a request of the corpus with a path and a user of its own, and the sentinel behind it."""
        user = f"corpus-{number}"
        raw = request.raw.replace(b"{tasks}", f"/api/{user}/tasks".encode())
        raw = raw.replace(b"{token}", self.service.token(user).encode())
        return raw + SENTINEL.replace(b"/health", f"/health?after={number}".encode())

    async def send_corpus(self, url: str) -> list[list[int]]:
        """Send each request on a connection of its own and return the statuses of its responses."""
        at_once = asyncio.Semaphore(8)

        async def send(number: int, request: RawRequest) -> list[int]:
            async with at_once:
                return statuses_of(await exchange_all(url, [self.written(request, number)]))

        return await asyncio.gather(*(send(*each) for each in enumerate(_CORPUS)))


@pytest.fixture
async def recorded(shared_database_url: str) -> AsyncIterator[Recorded]:
    recorded = Recorded()
    async with running_service(service_settings(shared_database_url), recorded.wrap) as service:
        recorded.service = service
        yield recorded


def origin_form(target: str) -> str:
    path = re.sub(r"^https?://[^/?]*", "", target, flags=re.IGNORECASE)
    return path if path.startswith(("/", "*")) else f"/{path}"


def read_log(proxy: ReverseProxy) -> tuple[Counter[Seen], Counter[Seen]]:
    """Return the requests that a proxy forwarded, and those of them that the service refused unseen."""
    forwarded: Counter[Seen] = Counter()
    refused: Counter[Seen] = Counter()
    for each in proxy.forwarded():
        request = each.method, origin_form(each.target), each.authorization
        forwarded[request] += 1
        refused[request] += each.status in _REFUSALS
    return forwarded, refused


@pytest.mark.parametrize("kind", PROXIES)
async def test_proxy_and_service_agree(recorded: Recorded, tmp_path: Path, kind: str) -> None:
    assert len(_CORPUS) >= 40
    port = urlsplit(recorded.service.url).port
    assert port is not None
    async with run_reverse_proxy(kind, tmp_path, port) as proxy:
        await recorded.send_corpus(proxy.url)
        # A proxy writes its line after the response.
        await poll_until(lambda: recorded.seen <= read_log(proxy)[0], 60, what="each request is logged")
        forwarded, refused = read_log(proxy)
    # The service knows no request that the proxy does not, and none is lost between them.
    assert recorded.seen - forwarded == Counter()
    assert forwarded - refused - recorded.seen == Counter()
    assert recorded.seen.total() >= 100


async def test_service_alone_sees_one_request_for_each_response(recorded: Recorded) -> None:
    responses = await recorded.send_corpus(recorded.service.url)
    for number, (request, statuses) in enumerate(zip(_CORPUS, responses, strict=True)):
        assert statuses == [*request.statuses, *([200] if request.stays_open else [])], request.name
        after = recorded.seen["GET", f"/health?after={number}", ""]
        assert after == request.stays_open, request.name
    assert not any(target.startswith("/smuggled") for _, target, _ in recorded.seen)
