"""The calendar is valid iCalendar (RFC 5545) with one VTODO for each task that has a due date."""

from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
from icalendar import Calendar

from tests.support.service import User

ODD_TEXT = 'a, b; c\\n "quoted"\\ line\u2028separator \' 😀 \u202e end:VTODO' + "ä" * 100


async def todos(user: User) -> list[Any]:
    answer = await user.request("GET", "/calendar.ics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    return list(Calendar.from_ical(answer.content).walk("VTODO"))


async def test_each_field_has_its_property(alice: User) -> None:
    task = await alice.create(
        ODD_TEXT,
        description=f"{ODD_TEXT}\n\x01next",
        due="2026-12-01T09:00:00+01:00",
        priority="high",
        tags=["a,b", "home"],
    )
    day = await alice.create("Day", due="2026-12-24", completed=True)
    await alice.create("Not due")
    first, second = await todos(alice)
    assert (first["summary"], first["description"]) == (ODD_TEXT, f"{ODD_TEXT}\nnext")
    assert first["due"].dt == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert (first["status"], first["priority"], first["categories"].cats) == (
        "NEEDS-ACTION",
        1,
        ["a,b", "home"],
    )
    updated = datetime.fromisoformat(task["updated_at"]).replace(microsecond=0)
    assert first["dtstamp"].dt == first["last-modified"].dt == updated
    assert (second["summary"], second["due"].dt, second["status"]) == ("Day", date(2026, 12, 24), "COMPLETED")
    assert (second["priority"], "categories" in second, "description" in second) == (0, False, False)
    assert len({first["uid"], second["uid"]}) == 2
    await alice.request("PATCH", f"/{day['id']}", json={"title": "Other day"})
    assert (await todos(alice))[1]["uid"] == second["uid"]


async def test_pending_tasks_come_first_and_there_are_a_thousand_at_most(
    alice: User, bob: User, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await bob.create(due="2026-12-01")
    await alice.create("Pending 0", due="2026-12-31")
    await connection.execute(
        "INSERT INTO tasks (user_id, title, completed, due_date)"
        " SELECT $1, CASE WHEN n <= 600 THEN 'Pending ' ELSE 'Completed ' END || n, n > 600, date '2026-12-31' - n"
        " FROM generate_series(1, 1200) AS n",
        alice.id,
    )
    titles = [str(todo["summary"]) for todo in await todos(alice)]
    assert titles[:601] == [f"Pending {n}" for n in range(600, -1, -1)]
    assert titles[601:] == [f"Completed {n}" for n in range(601, 1000)]
    await connection.execute("UPDATE tasks SET completed = false WHERE user_id = $1", alice.id)
    assert len(await todos(alice)) == 1000


async def test_the_etag_changes_with_the_tasks(alice: User) -> None:
    task = await alice.create(due="2026-12-01")
    first = await alice.request("GET", "/calendar.ics")
    tag = first.headers["etag"]
    again = await alice.request("GET", "/calendar.ics", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = await alice.request("HEAD", "/calendar.ics")
    assert (head.status_code, head.headers["etag"]) == (200, tag)
    await alice.request("PATCH", f"/{task['id']}", json={"title": "Other"})
    changed = await alice.request("GET", "/calendar.ics", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    other = await alice.request("GET", "/calendar.ics", headers={"If-Match": tag})
    assert other.status_code == 412


async def test_calendar_without_tasks_is_empty(alice: User) -> None:
    assert await todos(alice) == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
async def test_calendar_is_read_only(alice: User, method: str) -> None:
    answer = await alice.request(method, "/calendar.ics", json={"title": "T"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
