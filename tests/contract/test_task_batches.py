"""A batch is applied as a whole or not at all; completed tasks are cleared; tags are counted."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from tests.support.service import User

ABSENT = 2**63 - 1
CREATE = {"operation": "create", "task": {"title": "New"}}


async def send(user: User, *operations: Any, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await user.request("POST", "/batch", json={"operations": operations}, headers=headers)


async def test_operations_are_applied_in_order_with_the_status_of_the_single_request(alice: User) -> None:
    changed, deleted = await alice.create("Change"), await alice.create("Delete")
    answer = await send(
        alice,
        {"operation": "create", "task": {"title": " New ", "due": "2026-12-01", "tags": ["home"]}},
        {"operation": "update", "id": changed["id"], "task": {"title": "One"}, "if_match": '"v1"'},
        {
            "operation": "update",
            "id": changed["id"],
            "task": {"priority": "high"},
            "if_match": 'W/"v1", "v2"',
        },
        {"operation": "delete", "id": deleted["id"], "if_match": "*"},
    )
    assert answer.status_code == 200, answer.text
    new, first, second, last = answer.json()["results"]
    assert (new["status"], new["etag"], new["task"]["title"]) == (201, '"v1"', "New")
    assert (first["status"], first["etag"], first["task"]["title"]) == (200, '"v2"', "One")
    assert (second["status"], second["etag"], second["task"]["priority"]) == (200, '"v3"', "high")
    assert last == {"status": 204}
    assert (await alice.list())["tasks"] == [new["task"], second["task"]]


@pytest.mark.parametrize(
    ("operation", "status", "code", "pointer"),
    [
        ({"operation": "update", "id": ABSENT, "task": {"title": "T"}}, 404, "task-not-found", "id"),
        ({"operation": "delete", "id": ABSENT}, 404, "task-not-found", "id"),
        ({"operation": "delete", "id": "bob's"}, 404, "task-not-found", "id"),
        (
            {"operation": "update", "id": "alice's", "task": {"title": "T"}, "if_match": '"v7"'},
            412,
            "precondition-failed",
            "if_match",
        ),
        (
            {"operation": "delete", "id": "alice's", "if_match": 'W/"v1"'},
            412,
            "precondition-failed",
            "if_match",
        ),
    ],
    ids=str,
)
async def test_a_failure_names_its_operation_and_nothing_is_written(
    alice: User, bob: User, *, operation: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    ids = {"alice's": (await alice.create("Kept"))["id"], "bob's": (await bob.create("Bob's"))["id"]}
    operation = operation | {"id": ids.get(operation["id"], operation["id"])}
    before = (await alice.list())["tasks"], (await bob.list())["tasks"]
    answer = await send(
        alice,
        CREATE,
        {"operation": "update", "id": ids["alice's"], "task": {"completed": False}},
        operation,
        CREATE,
    )
    if pointer == "if_match":  # the second operation made it version 2
        assert answer.json()["detail"].startswith(f"Task {ids["alice's"]} ")
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].endswith(code)
    assert problem["errors"] == [{"pointer": f"/body/operations/2/{pointer}", "detail": problem["detail"]}]
    assert ((await alice.list())["tasks"], (await bob.list())["tasks"]) == before


async def test_the_same_task_twice_is_two_operations_in_order(alice: User) -> None:
    task_id = (await alice.create("Zero"))["id"]
    update = [{"operation": "update", "id": task_id, "task": {"title": title}} for title in ("One", "Two")]
    delete = {"operation": "delete", "id": task_id}
    answer = await send(alice, *update)
    assert [each["etag"] for each in answer.json()["results"]] == ['"v2"', '"v3"']
    answer = await send(alice, delete, delete)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/body/operations/1/id")
    answer = await send(alice, delete, update[0])
    assert answer.status_code == 404
    assert (await alice.list())["tasks"][0]["title"] == "Two"
    assert (await send(alice, *update, delete)).status_code == 200


INVALID: list[tuple[Any, str]] = [
    ({}, "/body/operations"),
    ([], "/body"),
    ({"operations": None}, "/body/operations"),
    ({"operations": {}}, "/body/operations"),
    ({"operations": []}, "/body/operations"),
    ({"operations": [CREATE] * 101}, "/body/operations"),
    ({"operations": [CREATE], "atomic": False}, "/body/atomic"),
    ({"operations": [CREATE, None]}, "/body/operations/1"),
    ({"operations": [CREATE, "delete"]}, "/body/operations/1"),
    ({"operations": [CREATE, {}]}, "/body/operations/1"),
    ({"operations": [CREATE, {"operation": "complete", "id": 1}]}, "/body/operations/1"),
    ({"operations": [CREATE, {"operation": "create"}]}, "/body/operations/1/task"),
    ({"operations": [CREATE, {"operation": "create", "task": None}]}, "/body/operations/1/task"),
    ({"operations": [CREATE, {"operation": "create", "task": {}}]}, "/body/operations/1/task/title"),
    ({"operations": [{**CREATE, "if_match": "*"}]}, "/body/operations/0/if_match"),
    ({"operations": [{"operation": "create", "task": {"title": "T", "id": 1}}]}, "/body/operations/0/task/id"),
    ({"operations": [{"operation": "create", "task": {"title": "T", "tags": ["a", ""]}}]}, "/body/operations/0/task/tags/1"),
    ({"operations": [{"operation": "create", "task": {"title": "T", "due": "2026-02-30"}}]}, "/body/operations/0/task/due"),
    ({"operations": [{"operation": "update", "id": 1, "task": {}}]}, "/body/operations/0/task"),
    ({"operations": [{"operation": "update", "task": {"title": "T"}}]}, "/body/operations/0/id"),
    *(
        ({"operations": [{"operation": "delete", "id": value}]}, "/body/operations/0/id")
        for value in (0, -1, 2**63, "1", 1.5, True, None)
    ),
    *(
        ({"operations": [{"operation": "delete", "id": 1, "if_match": value}]}, "/body/operations/0/if_match")
        for value in ("", "v1", '"v1', 1, ['"v1"'], '"v1" "v2"')
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer"), INVALID, ids=lambda value: ascii(value)[:60])
async def test_invalid_batch_is_rejected_and_nothing_is_written(alice: User, body: Any, pointer: str) -> None:
    answer = await alice.request("POST", "/batch", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await alice.list())["tasks"] == []


async def test_a_hundred_operations_are_the_most(alice: User) -> None:
    answer = await send(alice, *[CREATE] * 100)
    assert len(answer.json()["results"]) == 100
    assert (await alice.list(limit=200))["count"] == 100


async def test_a_repeated_key_returns_the_first_result_once(alice: User) -> None:
    task_id = (await alice.create())["id"]
    gone_id = (await alice.create())["id"]
    due = {"due": "2026-12-01T09:00:00Z"}
    operations = [
        CREATE,
        {"operation": "update", "id": task_id, "task": due, "if_match": '"v1"'},
        {"operation": "delete", "id": gone_id, "if_match": "*"},
    ]
    first, second = await send(alice, *operations, key="k"), await send(alice, *operations, key="k")
    assert (first.status_code, second.json()) == (200, first.json())
    assert (await alice.list())["count"] == 2
    other = await send(alice, CREATE, key="k")
    assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (422, "idempotency-key-reused")
    single = await alice.request("POST", json={"title": "New"}, headers={"Idempotency-Key": "k"})
    assert single.status_code == 422


async def test_a_failed_batch_does_not_use_up_its_key(alice: User) -> None:
    failing = [CREATE, {"operation": "delete", "id": ABSENT}]
    assert (await send(alice, *failing, key="k")).status_code == 404
    assert (await send(alice, CREATE, key="k")).status_code == 200
    assert (await alice.list())["count"] == 1


async def test_concurrent_batches_on_the_same_tasks_all_apply(alice: User) -> None:
    ids = [(await alice.create())["id"] for _ in range(4)]
    updates = [{"operation": "update", "id": each, "task": {"completed": True}} for each in ids]
    answers = await asyncio.gather(*(send(alice, *updates) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    tasks = [await alice.request("GET", f"/{each}") for each in ids]
    assert {task.headers["etag"] for task in tasks} == {'"v7"'}


async def test_completed_tasks_are_cleared(alice: User, bob: User) -> None:
    kept = await alice.create("Pending")
    for user in (alice, alice, bob):
        await user.create("Done", completed=True)
    answer = await alice.request("DELETE", params={"status": "completed"})
    assert (answer.status_code, answer.json()) == (200, {"deleted": 2, "more": False})
    assert (await alice.list())["tasks"] == [kept]
    assert (await bob.list())["count"] == 1
    again = await alice.request("DELETE", params={"status": "completed"})
    assert again.json() == {"deleted": 0, "more": False}


@pytest.mark.parametrize("count", [1000, 1001])
async def test_a_thousand_tasks_are_cleared_at_most(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", count: int
) -> None:
    await alice.create("Done", completed=True)
    await connection.execute(
        "INSERT INTO tasks (user_id, title, completed) SELECT $1, 'Done', true FROM generate_series(2, $2::int)",
        *(alice.id, count),
    )
    answer = await alice.request("DELETE", params={"status": "completed"})
    assert answer.json() == {"deleted": 1000, "more": count > 1000}
    assert (await alice.list())["count"] == count - 1000


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/query/status"),
        ("status=", "/query/status"),
        ("status=all", "/query/status"),
        ("status=pending", "/query/status"),
        ("status=Completed", "/query/status"),
        ("status=completed&search=x", "/query/search"),
        ("status=completed&limit=5", "/query/limit"),
    ],
)
async def test_only_completed_tasks_can_be_cleared(alice: User, query: str, pointer: str) -> None:
    await alice.create("Done", completed=True)
    answer = await alice.client.delete(f"{alice.tasks}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await alice.list())["count"] == 1


async def test_tags_are_counted_most_used_first(alice: User, bob: User) -> None:
    await alice.create(tags=["work", "home"])
    await alice.create(tags=["work"], completed=True)
    await alice.create(tags=["Work", "a"])
    await alice.create()
    await bob.create(tags=["bob's"])
    answer = await alice.client.get(f"/api/{alice.id}/tags")
    assert answer.status_code == 200
    assert json.loads(answer.text) == {
        "tags": [
            {"tag": "work", "pending": 1, "total": 2},
            {"tag": "Work", "pending": 1, "total": 1},
            {"tag": "a", "pending": 1, "total": 1},
            {"tag": "home", "pending": 1, "total": 1},
        ]
    }
    assert (await alice.client.get(f"/api/{bob.id}/tags")).status_code == 403


async def test_tags_of_the_newest_10_000_tasks_are_counted(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await alice.create(tags=["old"])
    await connection.execute(
        "INSERT INTO tasks (user_id, title, tags, completed, created_at) SELECT $1, 'T', ARRAY['new'], n % 2 = 0,"
        " now() + n * interval '1 s' FROM generate_series(1, 10000) AS n",
        alice.id,
    )
    answer = await alice.client.get(f"/api/{alice.id}/tags")
    assert answer.json() == {"tags": [{"tag": "new", "pending": 5000, "total": 10000}]}
