"""Invalid input gets a precise 4xx problem, and nothing is written."""

from typing import Any

import pytest

from tests.support.service import User

JSON = {"Content-Type": "application/json"}

BODIES = {  # and the pointer of the first error; tests/unit/platform/http/test_json_body.py has all cases
    "malformed JSON": (b'{"title": ', "/body"),
    "100,000 brackets": (b"[" * 100_000, "/body"),
    "NUL in title": (b'{"title": "a\\u0000b"}', "/body/title"),
    "unknown field": (b'{"title": "T", "user_id": "bob"}', "/body/user_id"),
}


def check(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(problem)
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(("body", "pointer"), BODIES.values(), ids=BODIES)
async def test_invalid_body_is_reported_and_changes_nothing(alice: User, body: bytes, pointer: str) -> None:
    task = await alice.create("Kept", description="Kept")
    for method, path in (("POST", ""), ("PUT", f"/{task['id']}"), ("PATCH", f"/{task['id']}")):
        problem = check(await alice.request(method, path, headers=JSON, content=body), 422)
        assert problem["errors"][0]["pointer"] == pointer
        assert problem["errors"][0]["detail"]
    assert (await alice.list())["tasks"] == [task]


@pytest.mark.parametrize(
    "title", ["x" * 200, "😀" * 200, "a\u0301", "'; DROP TABLE tasks; --", "\u202e", "\x7f\x01"]
)
async def test_unusual_valid_titles_are_stored_unchanged(alice: User, title: str) -> None:
    assert (await alice.create(title))["title"] == title
    assert (await alice.list())["tasks"][0]["title"] == title


async def test_invalid_utf_8_in_a_search_finds_nothing(alice: User) -> None:
    await alice.create("Task")
    assert (await alice.client.get(f"{alice.tasks}?search=%ff%fe")).json()["count"] == 0


@pytest.mark.parametrize(
    "user_id", ["bob", "..", "%2e%2e", "a%2Fb", "%00", "%ff", "x" * 5000, "%F0%9F%98%80", " ", "*"]
)
async def test_path_of_another_user_is_forbidden_for_any_name(alice: User, user_id: str) -> None:
    answer = await alice.client.get(f"/api/{user_id}/tasks")
    check(answer, 404 if user_id in {"..", "a%2Fb"} else 403)
