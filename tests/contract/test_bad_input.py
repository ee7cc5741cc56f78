"""Invalid input gets a precise 4xx problem, and nothing is written."""

import json
from typing import Any

import pytest

from tests.support.service import User

JSON = {"Content-Type": "application/json"}

BODIES: list[tuple[str, bytes, str]] = [
    # what, body, pointer of the first error
    ("no body", b"", "/body"),
    ("malformed JSON", b'{"title": ', "/body"),
    ("trailing comma", b'{"title": "T",}', "/body"),
    ("two values", b'{"title": "T"} {}', "/body"),
    ("array", b'["T"]', "/body"),
    ("text", b'"T"', "/body"),
    ("number", b"1", "/body"),
    ("null", b"null", "/body"),
    ("100,000 brackets", b"[" * 100_000, "/body"),
    ("deep object", b'{"a":' * 5000 + b"1" + b"}" * 5000, "/body"),
    ("5,000 digits", b'{"title": ' + b"9" * 5000 + b"}", "/body"),
    ("invalid UTF-8", b'{"title": "\xff"}', "/body"),
    ("byte order mark", b'\xef\xbb\xbf{"title": "T"}', "/body"),
    ("UTF-16", '{"title": "T"}'.encode("utf-16"), "/body"),
    ("lone surrogate", b'{"title": "\\ud800"}', "/body"),
    ("lone surrogate as key", b'{"\\udfff": 1, "title": "T"}', "/body"),
    ("NaN", b'{"title": NaN}', "/body/title"),
    ("Infinity", b'{"title": -Infinity}', "/body/title"),
    ("1e999", b'{"title": 1e999}', "/body/title"),
    ("NUL in title", b'{"title": "a\\u0000b"}', "/body/title"),
    ("NUL in description", b'{"title": "T", "description": "\\u0000"}', "/body/description"),
    ("empty title", b'{"title": ""}', "/body/title"),
    ("blank title", '{"title": " \t\u00a0\u2003"}'.encode().replace(b"\t", b"\\t"), "/body/title"),
    ("201 characters", json.dumps({"title": "x" * 201}).encode(), "/body/title"),
    (
        "10,001 characters",
        json.dumps({"title": "T", "description": "x" * 10_001}).encode(),
        "/body/description",
    ),
    ("number as title", b'{"title": 1}', "/body/title"),
    ("null as title", b'{"title": null}', "/body/title"),
    ("list as description", b'{"title": "T", "description": []}', "/body/description"),
    ("text as completed", b'{"title": "T", "completed": "true"}', "/body/completed"),
    ("number as completed", b'{"title": "T", "completed": 1}', "/body/completed"),
    ("null as completed", b'{"title": "T", "completed": null}', "/body/completed"),
    ("unknown field", b'{"title": "T", "user_id": "bob"}', "/body/user_id"),
    ("unknown field to escape", b'{"title": "T", "a/b~c": 1}', "/body/a~1b~0c"),
]


def check(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(problem)
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(("body", "pointer"), [each[1:] for each in BODIES], ids=[each[0] for each in BODIES])
async def test_invalid_body_is_reported_and_changes_nothing(alice: User, body: bytes, pointer: str) -> None:
    task = await alice.create("Kept", description="Kept")
    for method, path in (("POST", ""), ("PUT", f"/{task['id']}"), ("PATCH", f"/{task['id']}")):
        problem = check(await alice.request(method, path, headers=JSON, content=body), 422)
        assert problem["errors"][0]["pointer"] == pointer
        assert problem["errors"][0]["detail"]
    assert (await alice.list())["tasks"] == [task]


async def test_missing_title_and_empty_change(alice: User) -> None:
    task = await alice.create()
    problem = check(await alice.request("POST", json={}), 422)
    assert problem["errors"] == [{"pointer": "/body/title", "detail": "Field required"}]
    for method in ("PUT", "PATCH"):
        problem = check(await alice.request(method, f"/{task['id']}", json={}), 422)
        assert problem["errors"][0]["pointer"] == "/body"


async def test_all_errors_of_a_body_are_reported_together(alice: User) -> None:
    problem = check(await alice.request("POST", json={"title": "", "description": 1, "x": 1}), 422)
    assert [error["pointer"] for error in problem["errors"]] == [
        "/body/title",
        "/body/description",
        "/body/x",
    ]


async def test_last_of_repeated_keys_applies(alice: User) -> None:
    answer = await alice.request("POST", headers=JSON, content=b'{"title": "One", "title": "Two"}')
    assert answer.json()["title"] == "Two"


@pytest.mark.parametrize(
    "title", ["x" * 200, "😀" * 200, "a\u0301", "'; DROP TABLE tasks; --", "\u202e", "\x7f\x01"]
)
async def test_unusual_valid_titles_are_stored_unchanged(alice: User, title: str) -> None:
    assert (await alice.create(title))["title"] == title
    assert (await alice.list())["tasks"][0]["title"] == title


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ],
)
async def test_other_content_types_are_rejected(alice: User, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    check(await alice.request("POST", headers=headers, content=b'{"title": "T"}'), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
)
async def test_json_media_type_variants_are_accepted(alice: User, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert (await alice.request("POST", headers=headers, content=b'{"title": "T"}')).status_code == 201


@pytest.mark.parametrize(
    "path",
    ["/0", "/-1", "/9223372036854775808", f"/{'9' * 4000}", "/abc", "/1.5", "/1e3", "/%00", "/%20", "/0x1"],
)
async def test_invalid_task_id(alice: User, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = {"json": {"title": "T"}} if method in {"PUT", "PATCH"} else {}
        problem = check(await alice.request(method, path, **body), 422)
        assert problem["errors"][0]["pointer"] == "/path/task_id"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("limit=", "/query/limit"),
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
    ],
)
async def test_invalid_query(alice: User, query: str, pointer: str) -> None:
    problem = check(await alice.client.get(f"{alice.tasks}?{query}"), 422)
    assert problem["errors"][0]["pointer"] == pointer


async def test_invalid_utf_8_in_a_search_finds_nothing(alice: User) -> None:
    await alice.create("Task")
    assert (await alice.client.get(f"{alice.tasks}?search=%ff%fe")).json()["count"] == 0


@pytest.mark.parametrize(
    "user_id", ["bob", "..", "%2e%2e", "a%2Fb", "%00", "%ff", "x" * 5000, "%F0%9F%98%80", " ", "*"]
)
async def test_path_of_another_user_is_forbidden_for_any_name(alice: User, user_id: str) -> None:
    answer = await alice.client.get(f"/api/{user_id}/tasks")
    check(answer, 404 if user_id in {"..", "a%2Fb"} else 403)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("GET", "/{tasks}/", 404),
        ("GET", "/{tasks}/1/", 404),
        ("GET", "/{tasks}/1/complete", 405),
        ("POST", "/{tasks}/1", 405),
        ("DELETE", "/{tasks}", 405),
        ("HEAD", "/{tasks}/1/complete", 405),
        ("OPTIONS", "/{tasks}", 405),
        ("TRACE", "/{tasks}", 405),
    ],
)
async def test_no_such_route(alice: User, method: str, path: str, status: int) -> None:
    answer = await alice.client.request(method, path.replace("/{tasks}", alice.tasks))
    if method != "HEAD":
        check(answer, status)
    assert answer.status_code == status
    if status == 405:
        expected = {
            "/{tasks}": "GET, HEAD, POST",
            "/{tasks}/1": "GET, HEAD, PUT, PATCH, DELETE",
            "/{tasks}/1/complete": "PATCH",
        }
        assert answer.headers["allow"] == expected[path]
