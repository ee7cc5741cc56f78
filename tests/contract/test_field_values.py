"""Due dates, priorities and tags: accepted values with the returned ones, and rejected values with the pointer."""

from typing import Any

import pytest

from tests.support.service import User

COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"

ACCEPTED: list[tuple[str, Any, Any]] = [
    # the field, what is sent, what is returned
    ("due", "2026-12-01", "2026-12-01"),
    ("due", "1970-01-01", "1970-01-01"),
    ("due", "9999-12-31", "9999-12-31"),
    ("due", "2028-02-29", "2028-02-29"),
    ("due", "2026-12-01T09:00:00+01:00", "2026-12-01T08:00:00Z"),
    ("due", "2026-12-01T00:30:00+01:00", "2026-11-30T23:30:00Z"),
    ("due", "2026-12-01T09:00:00.120Z", "2026-12-01T09:00:00.120000Z"),
    ("due", "2026-12-01T09:00:00.000001-23:59", "2026-12-02T08:59:00.000001Z"),
    ("due", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ("due", "1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00Z"),
    ("due", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ("due", "2026-12-01T09:00:00-00:00", "2026-12-01T09:00:00Z"),
    ("due", None, None),
    ("priority", "none", "none"),
    ("priority", "medium", "medium"),
    ("tags", [], []),
    ("tags", ["  home "], ["home"]),
    ("tags", ["x" * 50, "😀" * 50], ["x" * 50, "😀" * 50]),
    ("tags", [" " * 60 + "x" + "\u3000"], ["x"]),
    ("tags", [f"tag {number}" for number in range(20)], [f"tag {number}" for number in range(20)]),
    ("tags", ["b", "a", "C"], ["b", "a", "C"]),
    ("tags", [DECOMPOSED], [COMPOSED]),
    ("tags", [DECOMPOSED * 50], [COMPOSED * 50]),
    (
        "tags",
        ["a b", "a-b", "a,b", 'a"b', "a\\b", "{a}", "NULL", "'"],
        ["a b", "a-b", "a,b", 'a"b', "a\\b", "{a}", "NULL", "'"],
    ),
]

REJECTED: list[tuple[str, Any, str]] = [
    # the field, what is sent, the pointer after /body
    *(("due", value, "/due") for value in (
        "", " ", "2026-12-1", "2026-2-01", "26-12-01", "20261201", "2026-W49-2", "2026-335", "12026-12-01", "-2026-12-01",
        "2026-12-01 ", " 2026-12-01", "2026/12/01", "01.12.2026", "tomorrow", "2026-12", "2026",
    )),
    # days that do not exist
    *(("due", value, "/due") for value in ("2026-02-29", "2026-02-30", "2100-02-29", "2026-04-31", "2026-13-01", "2026-00-10", "2026-12-00", "0000-01-01")),
    # outside of the years 1970 to 9999 in UTC
    *(("due", value, "/due") for value in (
        "1969-12-31", "0001-01-01", "10000-01-01", "1970-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00",
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    )),
    # times of day and time zones
    *(("due", value, "/due") for value in (
        "2026-12-01T09:00:00", "2026-12-01T09:00:00 Z", "2026-12-01T09:00:00z", "2026-12-01t09:00:00Z", "2026-12-01 09:00:00Z",
        "2026-12-01T09:00Z", "2026-12-01T09Z", "2026-12-01T9:00:00Z", "2026-12-01T24:00:00Z", "2026-12-01T25:00:00Z",
        "2026-12-01T09:60:00Z", "2016-12-31T23:59:60Z", "2026-12-01T09:00:00.Z", "2026-12-01T09:00:00.1234567Z", "2026-12-01T09:00:00,5Z",
        "2026-12-01T09:00:00+01", "2026-12-01T09:00:00+0100", "2026-12-01T09:00:00+24:00", "2026-12-01T09:00:00+01:60",
        "2026-12-01T09:00:00+01:00:00", "2026-12-01T09:00:00Europe/Berlin", "2026-12-01T09:00:00Z[UTC]", "2026-12-01T",
        "２０２６-12-01", "2026-12-01\u0000",
    )),
    *(("due", value, "/due") for value in (1764547200, 0, 1.5, True, [], ["2026-12-01"], {"date": "2026-12-01"})),
    *(("priority", value, "/priority") for value in ("", "urgent", "High", " high", "HIGH", None, 3, True, ["high"])),
    *(("tags", value, "/tags") for value in (None, "home", {"home": True}, 1, [f"tag {number}" for number in range(21)])),
    # elements
    *(("tags", value, "/tags/0") for value in (
        [""], ["  "], ["\u00a0\u2003"], ["x" * 51], ["a\u0000b"], [None], [1], [True], [["home"]],
        ["\u0958" * 26],  # 26 characters that are 52 in NFC
    )),
    ("tags", ["home", ""], "/tags/1"),
    # duplicates: the same, by case, by normalization, once trimmed
    *(("tags", value, "/tags") for value in (
        ["home", "home"], ["home", "Home"], ["STRASSE", "stra\u00dfe"], [COMPOSED, DECOMPOSED], [COMPOSED, "E\u0301"], ["home", " home "],
        ["\u03a3", "\u03c2"], ["\u212a", "k"], ["a", "b", "A"],
    )),
]  # fmt: skip


def name(value: Any) -> str:
    return ascii(value)[:40]


@pytest.mark.parametrize(("field", "sent", "returned"), ACCEPTED, ids=name)
async def test_value_is_returned_in_its_canonical_form(
    alice: User, field: str, sent: Any, returned: Any
) -> None:
    created = await alice.create(**{field: sent})
    assert created[field] == returned
    assert (await alice.request("GET", f"/{created['id']}")).json() == created
    assert (await alice.list())["tasks"] == [created]
    other = await alice.create()
    changed = await alice.request("PATCH", f"/{other['id']}", json={field: sent})
    assert (changed.status_code, changed.json()[field]) == (200, returned)


def test_the_table_has_at_least_sixty_rejected_values() -> None:
    assert len(REJECTED) >= 60


@pytest.mark.parametrize(("field", "sent", "pointer"), REJECTED, ids=name)
async def test_invalid_value_is_rejected_by_every_write(
    alice: User, field: str, sent: Any, pointer: str
) -> None:
    task = await alice.create("Kept", due="2026-12-01", priority="low", tags=["kept"])
    for method, path in (("POST", ""), ("PUT", f"/{task['id']}"), ("PATCH", f"/{task['id']}")):
        answer = await alice.request(method, path, json={"title": "T", field: sent})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == f"/body{pointer}"
    assert (await alice.list())["tasks"] == [task]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("priority=", "/query/priority/0"),
        ("priority=low&priority=urgent", "/query/priority/1"),
        ("priority=low,high", "/query/priority/0"),
        ("tag=", "/query/tag/0"),
        ("tag=%20", "/query/tag/0"),
        ("tag=%00", "/query/tag/0"),
        (f"tag={'x' * 51}", "/query/tag/0"),
        ("&".join(f"tag={number}" for number in range(21)), "/query/tag"),
        ("due_before=", "/query/due_before"),
        ("due_before=2026-02-30", "/query/due_before"),
        ("due_after=2026-12-01T24:00:00Z", "/query/due_after"),
        ("due_after=2026-12-01T09:00:00+01:00", "/query/due_after"),  # + is a space in a query
        ("due_after=1969-12-31", "/query/due_after"),
        ("has_due=", "/query/has_due"),
        ("has_due=1", "/query/has_due"),
        ("has_due=True", "/query/has_due"),
        ("has_due=yes", "/query/has_due"),
        ("sort=tags", "/query/sort"),
        ("sort=due_at", "/query/sort"),
        ("tags=home", "/query/tags"),
        ("due=2026-12-01", "/query/due"),
    ],
)  # fmt: skip
async def test_invalid_filter(alice: User, query: str, pointer: str) -> None:
    answer = await alice.client.get(f"{alice.tasks}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_tag_of_a_filter_is_normalized_as_in_a_body(alice: User) -> None:
    task = await alice.create(tags=[COMPOSED])
    assert (await alice.list(tag=f" {DECOMPOSED} "))["tasks"] == [task]


async def test_a_cursor_belongs_to_its_filters(alice: User) -> None:
    for _ in range(2):
        await alice.create(priority="high", tags=["home"], due="2026-12-01")
    filters: dict[str, Any] = {
        "priority": ["high", "low"],
        "tag": "home",
        "due_before": "2026-12-02",
        "has_due": "true",
    }
    cursor = (await alice.list(limit=1, **filters))["next_cursor"]
    assert (await alice.list(limit=1, cursor=cursor, **filters | {"priority": ["low", "high"]}))["count"] == 1
    for other in (
        {"priority": ["high"]},
        {"tag": ["home", "work"]},
        {"due_before": "2026-12-03"},
        {"has_due": "false"},
    ):
        answer = await alice.request("GET", params={"cursor": cursor, **filters, **other})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/query/cursor"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_last_instant_of_the_year_9999_is_no_special_value(alice: User, order: str) -> None:
    last = "9999-12-31T23:59:59.999999Z"
    ids = [(await alice.create(due=due))["id"] for due in (last, "9999-12-31", last, "2026-12-01")]
    found: list[int] = []
    cursor: dict[str, str] = {}
    for _ in ids:
        page = await alice.list(sort="due", order=order, limit=1, **cursor)
        found += [task["id"] for task in page["tasks"]]
        cursor = {"cursor": page["next_cursor"]}
    assert found == ([ids[3], *ids[:3]] if order == "asc" else [*ids[2::-1], ids[3]])
    assert (await alice.list(due_before=last))["count"] == 1
    assert (await alice.list(due_after="9999-12-30"))["count"] == 3
