"""Paging by cursor during concurrent changes neither repeats nor misses a task that exists throughout."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from itertools import product
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from backend.schemas.due import due_bounds, due_key, parse_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task_page import Order, Sort
from tests.support.service import User

ORDERS = list(product(get_args(Sort), get_args(Order)))


async def walk(user: User, **query: Any) -> AsyncIterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        page = await user.list(**query, **({"cursor": cursor} if cursor else {}))
        yield page["tasks"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


async def create_many(user: User, titles: list[str]) -> list[dict[str, Any]]:
    return await asyncio.gather(*(user.create(title) for title in titles))


def random_task(chance: random.Random) -> dict[str, Any]:
    """Return a task with few different values, so that many keys are equal."""
    return {
        "title": f"Task {chance.randrange(8)}",
        "completed": chance.random() < 0.3,
        "due": chance.choice(
            [None, "2026-12-01", "2026-12-01T23:59:59.999999Z", "2026-11-30T23:00:00-02:00"]
        ),
        "priority": chance.choice(PRIORITIES),
        "tags": chance.sample(["home", "work", "garden"], chance.randrange(3)),
    }


def sort_key(task: dict[str, Any], sort: str, order: str) -> tuple[bool, Any, int]:
    """Return what the list is sorted by, ascending: tasks without a key come last in both orders."""
    value = task[sort]
    if sort == "title":
        value = value.lower()
    elif sort == "priority":
        value = PRIORITIES.index(value)
    elif sort == "due" and value:
        value = due_key(parse_due(value))
    is_last = value in {None, 0} if sort in {"due", "priority"} else False
    return (is_last != (order == "desc"), (not is_last and value) or 0, task["id"])


@pytest.mark.parametrize(("sort", "order"), ORDERS)
async def test_walk_sees_each_task_that_stays_once(alice: User, sort: str, order: str) -> None:
    chance = random.Random(f"{sort} {order}")  # noqa: S311 - a test's, that can be repeated
    stay = [await alice.create(**random_task(chance)) for _ in range(24)]
    leave = [await alice.create(**random_task(chance)) for _ in range(12)]
    seen: list[dict[str, Any]] = []
    async for tasks in walk(alice, sort=sort, order=order, limit=chance.randrange(1, 9)):
        seen += tasks
        changes = [alice.create(**random_task(chance)) for _ in range(chance.randrange(3))]
        if leave:
            gone = leave.pop(chance.randrange(len(leave)))
            await alice.request("DELETE", f"/{gone['id']}")
        await asyncio.gather(*changes)
        if len(seen) > 500:
            pytest.fail("the walk does not end")
    ids = [task["id"] for task in seen]
    assert len(ids) == len(set(ids))
    assert {task["id"] for task in stay} <= set(ids)
    keys = [sort_key(task, sort, order) for task in seen]
    assert keys == sorted(keys, reverse=order == "desc")


def matches(task: dict[str, Any], query: dict[str, Any]) -> bool:
    """Return whether a task belongs to a list, by the definition in docs/api.md."""
    key = task["due"] and due_key(parse_due(task["due"]))
    tests: dict[str, Callable[[Any], bool]] = {
        "status": lambda status: status in {"all", "completed" if task["completed"] else "pending"},
        "search": lambda text: text.lower() in task["title"].lower(),
        "priority": lambda priorities: task["priority"] in priorities,
        "tag": lambda tags: set(tags) <= set(task["tags"]),
        "due_before": lambda due: key is not None and key < due_bounds(parse_due(due))[0],
        "due_after": lambda due: key is not None and key > due_bounds(parse_due(due))[1],
        "has_due": lambda has_due: (key is not None) == (has_due == "true"),
    }
    return all(tests[name](value) for name, value in query.items() if name in tests)


FILTERS: dict[str, list[Any]] = {
    "status": ["all", "pending", "completed"],
    "search": ["task", "k 3", "nowhere"],
    "priority": [["none"], ["high"], ["none", "low"], ["low", "medium", "high"]],
    "tag": [["home"], ["work", "home"], ["nowhere"]],
    "due_before": ["2026-12-01", "2026-12-02", "2026-12-01T23:59:59.999999Z"],
    "due_after": ["2026-11-30", "2026-12-01", "2026-12-01T01:00:00Z"],
    "has_due": ["true", "false"],
}


@pytest.mark.parametrize("row_count", [40, 250])
async def test_any_combination_of_filters_and_sort_has_each_matching_task_once(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", row_count: int
) -> None:
    """250 tasks are more than a filter scans before it uses an index of its own."""
    chance = random.Random(row_count)  # noqa: S311 - a test's, that can be repeated
    first = [await alice.create(**random_task(chance)) for _ in range(40)]
    await connection.execute(
        "INSERT INTO tasks (user_id, title, completed, due_date, due_at, priority, tags) SELECT user_id, title, completed,"
        " due_date, due_at, priority, tags FROM tasks, generate_series(1, $2::int) WHERE user_id = $1 LIMIT $2::int",
        *(alice.id, row_count - len(first)),
    )
    every = [task async for tasks in walk(alice, limit=200) for task in tasks]
    assert len(every) == row_count
    for sort, order in ORDERS * 3:
        names = chance.sample(sorted(FILTERS), chance.randrange(1, 5))
        query: dict[str, Any] = {name: chance.choice(FILTERS[name]) for name in names}
        expected = sorted(
            (task for task in every if matches(task, query)),
            key=lambda task: sort_key(task, sort, order),
            reverse=order == "desc",
        )
        limit = chance.randrange(max(1, len(expected) // 4), 200)
        found = [
            task["id"]
            async for tasks in walk(alice, sort=sort, order=order, limit=limit, **query)
            for task in tasks
        ]
        assert found == [task["id"] for task in expected], (sort, order, limit, query)


@pytest.mark.parametrize(
    "query", [{"status": "completed"}, {"search": "even"}, {"status": "pending", "search": "odd"}]
)
async def test_walk_of_a_filtered_list(alice: User, query: dict[str, str]) -> None:
    for number in range(12):
        await alice.create("even" if number % 2 == 0 else "odd", completed=number % 2 == 0)
    pages = [tasks async for tasks in walk(alice, limit=2, **query)]
    assert [len(tasks) for tasks in pages] == [2, 2, 2]
    assert len({task["id"] for tasks in pages for task in tasks}) == 6


@pytest.mark.parametrize(("sort", "order"), ORDERS)
async def test_search_finds_matches_inside_and_beyond_the_scan_window(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", sort: str, order: str
) -> None:
    """A search reads 200 tasks first, then all of them if needed; the responses do not differ."""
    await alice.create("Task 0")
    await connection.execute(
        # Times and titles in an order that is not that of the ids.
        """
        INSERT INTO tasks (user_id, title, description, completed, created_at, updated_at)
        SELECT $1, 'Task ' || n * 7 % 450, CASE WHEN n % 90 = 0 THEN 'every 90th' WHEN n = 399 THEN NULL ELSE 'n' END,
            n % 2 = 0, now() - n * 11 % 450 * interval '1 s', now() - n * 13 % 450 * interval '1 s'
        FROM generate_series(1, 449) AS n
        """,
        alice.id,
    )
    for text in ("task 4", "every 90th", "nowhere"):
        for status in ("all", "pending"):
            every = [
                task
                async for tasks in walk(alice, sort=sort, order=order, status=status, limit=200)
                for task in tasks
            ]
            expected = [
                task["id"]
                for task in every
                if text.lower() in f"{task['title']}\n{task['description'] or ''}".lower()
            ]
            found = [
                task["id"]
                async for tasks in walk(alice, sort=sort, order=order, status=status, search=text, limit=60)
                for task in tasks
            ]
            assert found == expected


async def test_search_fills_a_page_that_is_longer_than_what_it_reads_first(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await alice.create("Task")
    await connection.execute(
        "INSERT INTO tasks (user_id, title) SELECT $1, 'Task' FROM generate_series(1, 249) AS n", alice.id
    )
    pages = [tasks async for tasks in walk(alice, search="task", limit=200)]
    assert [len(tasks) for tasks in pages] == [200, 50]


@pytest.mark.parametrize("place", [199, 200, 201])
async def test_search_finds_a_match_in_the_last_row_read(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", place: int
) -> None:
    await alice.create("Last of all")
    await connection.execute(
        "INSERT INTO tasks (user_id, title, created_at) SELECT $1, CASE n WHEN $2 THEN 'Needle' ELSE 'Hay' END,"
        " now() + interval '1 day' - n * interval '1 s' FROM generate_series(1, 201) AS n",
        alice.id,
        place,
    )
    assert [task["title"] for task in (await alice.list(search="needle"))["tasks"]] == ["Needle"]


async def test_link_header_leads_to_the_same_page(alice: User) -> None:
    await create_many(alice, ["a & b"] * 3)
    answer = await alice.request("GET", params={"limit": 1, "search": "a & b", "sort": "title"})
    target, _, relation = answer.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    query = parse_qs(urlsplit(target.strip("<>")).query)
    assert query["cursor"] == [answer.json()["next_cursor"]]
    following = await alice.client.get(str(answer.request.url.join(target.strip("<>"))))
    assert following.json() == await alice.list(
        limit=1, search="a & b", sort="title", cursor=query["cursor"][0]
    )


async def test_last_page_has_no_link(alice: User) -> None:
    await create_many(alice, ["One", "Two"])
    answer = await alice.request("GET", params={"limit": 2})
    assert answer.json()["next_cursor"] is None
    assert "link" not in answer.headers


@pytest.mark.parametrize("other", ["another list", "another user", "damaged"])
async def test_invalid_cursor_is_rejected(alice: User, bob: User, other: str) -> None:
    """tests/unit/platform/postgres/test_cursor.py has all cases."""
    await create_many(alice, ["One", "Two"])
    cursor = (await alice.list(limit=1))["next_cursor"]
    user = bob if other == "another user" else alice
    query = {"cursor": cursor[:-1] if other == "damaged" else cursor}
    query |= {"sort": "updated_at"} if other == "another list" else {}
    answer = await user.request("GET", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/cursor")
