"""Every row of the contract's table, over a socket (docs/api.md)."""

from datetime import UTC, datetime

import pytest

from tests.support.service import User

ABSENT = "/9223372036854775807"


async def test_created_task_has_every_field_and_its_place(alice: User) -> None:
    answer = await alice.request("POST", json={"title": "  Buy milk ", "description": "Oat"})
    assert answer.status_code == 201
    task = answer.json()
    assert list(task)[:5] == ["id", "user_id", "title", "description", "completed"]
    assert list(task)[5:] == ["created_at", "updated_at", "priority", "due", "tags"]
    assert isinstance(task["id"], int)
    assert (task["user_id"], task["title"], task["description"]) == (alice.id, "Buy milk", "Oat")
    assert task["completed"] is False
    assert (task["priority"], task["due"], task["tags"]) == ("none", None, [])
    assert task["created_at"] == task["updated_at"]
    assert task["created_at"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(task["created_at"])).total_seconds()) < 60
    assert answer.headers["location"] == f"{alice.tasks}/{task['id']}"
    assert answer.headers["etag"] == '"v1"'
    assert answer.headers["content-type"] == "application/json"
    followed = await alice.client.get(answer.headers["location"])
    assert followed.json() == task


async def test_task_is_read_back_with_its_etag(alice: User) -> None:
    task = await alice.create("Buy milk", completed=True)
    answer = await alice.request("GET", f"/{task['id']}")
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, task, '"v1"')


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "change",
    [
        {"title": " New "},
        {"description": None},
        {"description": ""},
        {"completed": True},
        {"priority": "high"},
        {"priority": "none"},
        {"due": "2026-12-01"},
        {"due": "2026-12-01T09:00:00Z"},
        {"due": None},
        {"tags": ["work", "home"]},
        {"tags": []},
        {"title": "T", "description": "D", "completed": True},
    ],
)
async def test_update_changes_only_the_fields_that_it_has(
    alice: User, method: str, change: dict[str, object]
) -> None:
    task = await alice.create("Old", description="Kept", priority="low", due="2026-11-30", tags=["old"])
    answer = await alice.request(method, f"/{task['id']}", json=change)
    assert answer.status_code == 200
    updated = answer.json()
    expected = task | change | {"updated_at": updated["updated_at"]}
    expected["title"] = expected["title"].strip()
    assert updated == expected
    assert updated["updated_at"] > task["updated_at"]
    assert answer.headers["etag"] == '"v2"'


async def test_complete_toggles_in_both_directions(alice: User) -> None:
    task = await alice.create()
    states = [(await alice.request("PATCH", f"/{task['id']}/complete")).json()["completed"] for _ in range(3)]
    assert states == [True, False, True]


async def test_deleted_task_is_gone(alice: User) -> None:
    task = await alice.create()
    answer = await alice.request("DELETE", f"/{task['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method, body in (("GET", None), ("PUT", {"title": "T"}), ("PATCH", {"title": "T"}), ("DELETE", None)):
        assert (await alice.request(method, f"/{task['id']}", json=body)).status_code == 404
    assert (await alice.request("PATCH", f"/{task['id']}/complete")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_task_of_another_user_is_not_found(alice: User, bob: User, method: str) -> None:
    foreign = await bob.create("Bob's")
    body = {"title": "Mine"} if method in {"PUT", "PATCH"} else None
    problems = []
    for path in (f"/{foreign['id']}", ABSENT):
        answer = await alice.request(method, path, json=body)
        assert answer.status_code == 404
        problem = answer.json()
        problems.append((problem["type"], problem["title"], problem["detail"].replace(path[1:], "N")))
    assert problems[0] == problems[1]
    assert (await bob.request("GET", f"/{foreign['id']}")).json() == foreign


async def test_path_of_another_user_is_forbidden(alice: User, bob: User) -> None:
    task = await bob.create()
    requests = [
        ("GET", "", None),
        ("POST", "", {"title": "T"}),
        ("GET", f"/{task['id']}", None),
        ("PUT", f"/{task['id']}", {"title": "T"}),
        ("PATCH", f"/{task['id']}", {"title": "T"}),
        ("PATCH", f"/{task['id']}/complete", None),
        ("DELETE", f"/{task['id']}", None),
    ]
    for method, path, body in requests:
        answer = await alice.client.request(method, bob.tasks + path, json=body)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:task-service:problem:not-owner"
    assert (await bob.list())["tasks"] == [task]


async def test_list_is_newest_first(alice: User) -> None:
    tasks = [await alice.create(f"Task {number}") for number in range(3)]
    page = await alice.list()
    assert page == {"tasks": tasks[::-1], "count": 3, "next_cursor": None}


async def test_empty_list(alice: User) -> None:
    assert await alice.list() == {"tasks": [], "count": 0, "next_cursor": None}


async def test_list_by_status(alice: User) -> None:
    pending = await alice.create("Pending")
    completed = await alice.create("Completed", completed=True)
    assert (await alice.list(status="pending"))["tasks"] == [pending]
    assert (await alice.list(status="completed"))["tasks"] == [completed]
    assert (await alice.list(status="all"))["tasks"] == [completed, pending]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("MILK", ["Buy milk"]),
        ("oat", ["Buy milk"]),
        ("100%", ["Sell 100%"]),
        ("100_", []),
        ("back\\slash", ["A back\\slash"]),
        ("äpfel", ["Äpfel"]),
        ("  ", ["Äpfel", "A back\\slash", "Sell 100%", "Buy milk"]),
        ("nothing", []),
    ],
)
async def test_search_matches_the_literal_text(alice: User, search: str, found: list[str]) -> None:
    await alice.create("Buy milk", description="Two litres, oat")
    for title in ("Sell 100%", "A back\\slash", "Äpfel"):
        await alice.create(title)
    assert [task["title"] for task in (await alice.list(search=search))["tasks"]] == found


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"sort": "title"}, ["apple", "Banana", "cherry"]),
        ({"sort": "title", "order": "desc"}, ["cherry", "Banana", "apple"]),
        ({"sort": "created_at", "order": "asc"}, ["cherry", "apple", "Banana"]),
        ({"sort": "updated_at"}, ["cherry", "Banana", "apple"]),
        ({"sort": "updated_at", "order": "asc"}, ["apple", "Banana", "cherry"]),
    ],
)
async def test_list_in_each_order(alice: User, query: dict[str, str], titles: list[str]) -> None:
    first = await alice.create("cherry")
    await alice.create("apple")
    await alice.create("Banana")
    await alice.request("PATCH", f"/{first['id']}", json={"description": "touched"})
    assert [task["title"] for task in (await alice.list(**query))["tasks"]] == titles
