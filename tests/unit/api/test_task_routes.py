"""The routes of tasks in memory: invalid input never reaches the repository."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.fakes import FakeRepository, send

TASKS = "/api/alice/tasks"
TITLE = b'{"title": "T"}'
OPERATIONS = [
    ("GET", TASKS, b"", 200),
    ("POST", TASKS, TITLE, 201),
    ("GET", f"{TASKS}/1", b"", 200),
    ("PUT", f"{TASKS}/1", TITLE, 200),
    ("PATCH", f"{TASKS}/1", TITLE, 200),
    ("PATCH", f"{TASKS}/1/complete", b"", 200),
    ("DELETE", f"{TASKS}/1", b"", 204),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), OPERATIONS)
async def test_operation_responds_with_its_status_and_headers(
    method: str, path: str, body: bytes, status: int
) -> None:
    answer = await send(FakeRepository(), method, path, body=body)
    assert answer.status == status
    has_entity = status != 204 and (method, path) != ("GET", TASKS)
    assert answer.header("etag") == ('"v1"' if has_entity else None)
    assert answer.header("location") == (f"{TASKS}/1" if status == 201 else None)
    assert (answer.body == b"") == (status == 204)


@pytest.mark.parametrize(("method", "path", "body", "status"), OPERATIONS)
async def test_path_of_another_user_is_forbidden_without_a_repository_call(
    method: str, path: str, body: bytes, status: int
) -> None:
    repository = FakeRepository()
    answer = await send(repository, method, path.replace("alice", "bob"), body=body)
    assert (answer.status, answer.json()["type"]) == (403, "urn:task-service:problem:not-owner"), status
    assert repository.calls == []


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "9223372036854775808", "9" * 4000, "abc", "1.5", "1e3", "\0", " ", "0x1", "01", "+1", "1_0"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_invalid_task_id_is_reported(method: str, number: str) -> None:
    repository = FakeRepository()
    answer = await send(repository, method, f"{TASKS}/{number}", body=TITLE)
    assert (answer.status, repository.calls) == (422, [])
    assert answer.json()["errors"][0]["pointer"] == "/path/task_id"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("limit=", "/query/limit"),
        ("limit=1&limit=0", "/query/limit"),
        (f"limit={'9' * 5000}", "/query/limit"),
        ("status=done", "/query/status"),
        ("sort=id", "/query/sort"),
        ("sort=title;drop", "/query/sort"),
        ("order=up", "/query/order"),
        ("cursor=", "/query/cursor"),
        ("cursor=abc", "/query/cursor"),
        (f"cursor={'A' * 2049}", "/query/cursor"),
        ("search=%00", "/query/search"),
        (f"search={'x' * 201}", "/query/search"),
        ("offset=1", "/query/offset"),
        ("Limit=1", "/query/Limit"),
        ("a[]=1", "/query/a[]"),
        ("=1", "/query/"),
        ("%00=1", "/query/\0"),
        ("%ff=1", "/query/\ufffd"),
    ],
)
async def test_invalid_query_is_reported(query: str, pointer: str) -> None:
    repository = FakeRepository()
    answer = await send(repository, "GET", TASKS, query=query)
    assert (answer.status, repository.calls) == (422, [])
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("query", "limit"), [("limit=1&limit=2", 2), ("limit=2&limit=1", 1), ("&&", 50), ("limit=2&", 2)]
)
async def test_last_of_repeated_parameters_applies(query: str, limit: int) -> None:
    repository = FakeRepository()
    assert (await send(repository, "GET", TASKS, query=query)).status == 200
    assert repository.query is not None
    assert repository.query.limit == limit + 1


@pytest.mark.parametrize(
    ("query", "filters", "order"),
    [
        ("", {}, ("created_at", "desc")),
        ("status=pending", {"completed": False}, ("created_at", "desc")),
        ("status=completed&search=%20milk%20", {"completed": True, "search": "milk"}, ("created_at", "desc")),
        ("search=%20", {}, ("created_at", "desc")),
        ("sort=title", {}, ("title", "asc")),
        ("sort=updated_at&order=asc", {}, ("updated_at", "asc")),
    ],
)
async def test_query_becomes_filters_and_order(
    query: str, filters: dict[str, Any], order: tuple[str, str]
) -> None:
    repository = FakeRepository()
    assert (await send(repository, "GET", TASKS, query=query)).status == 200
    assert repository.query is not None
    assert (repository.query.filters, (repository.query.sort, repository.query.order)) == (filters, order)


async def test_link_header_keeps_the_other_parameters() -> None:
    query = f"limit=1&search={quote('a & b')}&sort=title"
    first = await send(FakeRepository(row_count=2), "GET", TASKS, query=query)
    cursor = first.json()["next_cursor"]
    assert first.header("link") == f'<?limit=1&search=a+%26+b&sort=title&cursor={cursor}>; rel="next"'
    last = await send(FakeRepository(row_count=1), "GET", TASKS, query=f"{query}&cursor={cursor}")
    assert (last.json()["next_cursor"], last.header("link")) == (None, None)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", "/api/nowhere", 404, None),
        ("GET", f"{TASKS}/", 404, None),
        ("GET", f"{TASKS}/1/", 404, None),
        ("GET", f"{TASKS}/1/complete", 405, "PATCH"),
        ("HEAD", f"{TASKS}/1/complete", 405, "PATCH"),
        ("POST", f"{TASKS}/1", 405, "GET, HEAD, PUT, PATCH, DELETE"),
        ("OPTIONS", TASKS, 405, "GET, HEAD, POST, DELETE"),
        ("GET", f"{TASKS}/batch", 405, "POST"),
        ("PUT", f"{TASKS}/batch", 405, "POST"),
        ("PUT", f"{TASKS}/calendar.ics", 405, "GET, HEAD"),
        ("DELETE", f"{TASKS}/calendar.ics", 405, "GET, HEAD"),
        ("GET", f"{TASKS}/batch.ics", 422, None),
        ("TRACE", TASKS, 405, "GET, HEAD, POST, DELETE"),
    ],
)
async def test_missing_route_is_404_or_405_and_an_invalid_id_422(
    method: str, path: str, status: int, allow: str | None
) -> None:
    answer = await send(FakeRepository(), method, path)
    assert (answer.status, answer.header("allow")) == (status, allow)
    assert answer.header("content-type") == "application/problem+json"


@pytest.mark.parametrize(
    ("tags", "status"), [('"v1"', 304), ('W/"v1"', 304), ("*", 304), ('"v9", "v1"', 304), ('"v2"', 200)]
)
async def test_unchanged_task_is_304(tags: str, status: int) -> None:
    answer = await send(FakeRepository(), "GET", f"{TASKS}/1", headers={"If-None-Match": tags})
    assert (answer.status, answer.header("etag")) == (status, '"v1"')
    assert (answer.body == b"") == (status == 304)


async def test_get_of_another_version_is_412() -> None:
    answer = await send(FakeRepository(), "GET", f"{TASKS}/1", headers={"If-Match": '"v2"'})
    assert (answer.status, answer.json()["type"]) == (412, "urn:task-service:problem:precondition-failed")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", TASKS + "/1", b""),
        ("PUT", TASKS + "/1", TITLE),
        ("PATCH", TASKS + "/1/complete", b""),
        ("DELETE", TASKS + "/1", b""),
    ],
)
async def test_malformed_entity_tag_is_reported(method: str, path: str, body: bytes) -> None:
    for name in ("if-match", "if-none-match"):
        repository = FakeRepository()
        answer = await send(repository, method, path, headers={name: "v1"}, body=body)
        assert (answer.status, repository.calls) == (422, [])
        assert answer.json()["errors"][0]["pointer"] == f"/header/{name}"


@pytest.mark.parametrize("key", ["", '""', '"', '"a', "x" * 256, "café", "a\tb", "a b"])
async def test_invalid_idempotency_key_is_reported(key: str) -> None:
    repository = FakeRepository()
    answer = await send(repository, "POST", TASKS, headers={"Idempotency-Key": key}, body=TITLE)
    assert (answer.status, repository.calls) == (422, [])
    assert answer.json()["errors"][0]["pointer"] == "/header/idempotency-key"


async def test_idempotency_key_may_be_quoted() -> None:
    repository = FakeRepository()
    for key in ("abc", '"abc"', ' "abc" ', "!#-~"):
        answer = await send(repository, "POST", TASKS, headers={"Idempotency-Key": key}, body=TITLE)
        assert answer.status == 201
    assert list(repository.keys) == ["abc", "!#-~"]
