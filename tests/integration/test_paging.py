"""Paging by cursor during concurrent changes neither repeats nor misses a task that exists throughout."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import product
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

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


@pytest.mark.parametrize(("sort", "order"), ORDERS)
async def test_walk_sees_each_task_that_stays_once(alice: User, sort: str, order: str) -> None:
    chance = random.Random(f"{sort} {order}")  # noqa: S311 - a test's, that can be repeated
    # Few titles, so that many keys are equal.
    stay = await create_many(alice, [f"Task {chance.randrange(8)}" for _ in range(24)])
    leave = await create_many(alice, [f"Task {chance.randrange(8)}" for _ in range(12)])
    seen: list[dict[str, Any]] = []
    async for tasks in walk(alice, sort=sort, order=order, limit=chance.randrange(1, 9)):
        seen += tasks
        changes = [alice.create(f"Task {chance.randrange(8)}") for _ in range(chance.randrange(3))]
        if leave:
            gone = leave.pop(chance.randrange(len(leave)))
            await alice.request("DELETE", f"/{gone['id']}")
        await asyncio.gather(*changes)
        if len(seen) > 500:
            pytest.fail("the walk does not end")
    ids = [task["id"] for task in seen]
    assert len(ids) == len(set(ids))
    assert {task["id"] for task in stay} <= set(ids)
    keys = [(task["title"].lower() if sort == "title" else task[sort], task["id"]) for task in seen]
    assert keys == sorted(keys, reverse=order == "desc")


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
    """A search reads 100 tasks first, then all of them if needed; the responses do not differ."""
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


@pytest.mark.parametrize("place", [99, 100, 101])
async def test_search_finds_a_match_in_the_last_row_read(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", place: int
) -> None:
    await alice.create("Last of all")
    await connection.execute(
        "INSERT INTO tasks (user_id, title, created_at) SELECT $1, CASE n WHEN $2 THEN 'Needle' ELSE 'Hay' END,"
        " now() + interval '1 day' - n * interval '1 s' FROM generate_series(1, 101) AS n",
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
