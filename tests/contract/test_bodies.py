"""Limits of request bodies, and the checks that precede reading a body."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.support.raw_http import exchange, open_connection, read_answer, status_of
from tests.support.service import RunningService, User, running_service, service_settings
from tests.support.waiting import scaled

MEBIBYTE = 1024 * 1024
JSON = {"Content-Type": "application/json"}


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: service", *lines, "", ""]).encode()


def padded(size: int) -> bytes:
    body = b'{"title": "T"}'
    return body + b" " * (size - len(body))


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 201), (MEBIBYTE + 1, 413), (3 * MEBIBYTE, 413)])
async def test_body_over_the_limit_is_rejected(
    alice: User, *, size: int, status: int, announced: bool
) -> None:
    body = padded(size)
    answer = await alice.request("POST", headers=JSON, content=body if announced else pieces(body))
    assert answer.status_code == status
    # The connection serves the next request, and the rejected one wrote nothing.
    assert (await alice.list())["count"] == (status == 201)


async def test_body_over_the_limit_is_rejected_by_content_length(service: RunningService) -> None:
    lines = (f"Authorization: Bearer {service.token('alice')}", "Content-Type: application/json")
    request = head("/api/alice/tasks", *lines, f"Content-Length: {10 * MEBIBYTE}")
    assert status_of(await exchange(service.url, request)) == 413


async def test_missing_token_is_reported_before_the_body_is_read(service: RunningService) -> None:
    request = head("/api/alice/tasks", "Content-Type: application/json", "Content-Length: 100")
    assert status_of(await exchange(service.url, request)) == 401


@pytest.mark.parametrize("lines", [("Content-Type: application/json",), ()], ids=["JSON", "untyped"])
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/1"), ("PATCH", "/x")])
async def test_path_of_another_user_is_reported_before_the_body_is_read(
    service: RunningService, method: str, path: str, lines: tuple[str, ...]
) -> None:
    authorization = f"Authorization: Bearer {service.token('alice')}"
    request = head(f"/api/bob/tasks{path}", authorization, *lines, "Content-Length: 100", method=method)
    assert status_of(await exchange(service.url, request)) == 403


async def test_slow_body_is_408(shared_database_url: str) -> None:
    settings = service_settings(shared_database_url, body_timeout_seconds=0.3)
    async with running_service(settings) as service:
        lines = (f"Authorization: Bearer {service.token('alice')}", "Content-Type: application/json")
        request = head("/api/alice/tasks", *lines, "Content-Length: 14")
        async with open_connection(service.url) as (reader, writer):
            writer.write(request + b'{"tit')
            status, headers, body = await asyncio.wait_for(read_answer(reader), scaled(10))
            assert (status, headers["connection"]) == (408, "close")
            assert json.loads(body)["title"] == "Request Timeout"
            assert await reader.read() == b""  # and the connection is closed


async def test_client_may_send_expect_100_continue(service: RunningService) -> None:
    body = b'{"title": "T"}'
    lines = (f"Authorization: Bearer {service.token('waiting')}", "Content-Type: application/json")
    request = head("/api/waiting/tasks", *lines, f"Content-Length: {len(body)}", "Expect: 100-continue")
    async with open_connection(service.url) as (reader, writer):
        writer.write(request)
        assert (
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), scaled(10))
            == b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        writer.write(body)
        assert (await asyncio.wait_for(read_answer(reader), scaled(10)))[0] == 201


async def test_client_without_a_token_gets_no_100_continue(service: RunningService) -> None:
    request = head("/api/alice/tasks", "Content-Length: 10", "Expect: 100-continue")
    assert status_of(await exchange(service.url, request)) == 401
