"""Each request of a table gets exactly the responses of RFC 9112, however its bytes are split into packets."""

import pytest

from tests.support.raw_http import exchange_all, statuses_of
from tests.support.raw_requests import RAW_REQUESTS, SENTINEL, RawRequest
from tests.support.service import RunningService


def written(service: RunningService, request: RawRequest) -> bytes:
    token = service.token("framing").encode()
    return request.raw.replace(b"{tasks}", b"/api/framing/tasks").replace(b"{token}", token) + SENTINEL


def expected_of(request: RawRequest) -> list[int]:
    return [*request.statuses, *([200] if request.stays_open else [])]


@pytest.mark.parametrize("request_", RAW_REQUESTS, ids=lambda each: each.name)
async def test_request_has_its_responses(service: RunningService, request_: RawRequest) -> None:
    received = await exchange_all(service.url, [written(service, request_)])
    assert statuses_of(received) == expected_of(request_)


@pytest.mark.parametrize(
    "request_", [each for each in RAW_REQUESTS if len(each.raw) < 2000], ids=lambda each: each.name
)
async def test_request_has_the_same_responses_byte_by_byte(
    service: RunningService, request_: RawRequest
) -> None:
    raw = written(service, request_)
    received = await exchange_all(service.url, [raw[place : place + 1] for place in range(len(raw))])
    assert statuses_of(received) == expected_of(request_)
