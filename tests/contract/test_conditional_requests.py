"""ETag, If-Match and If-None-Match (RFC 9110 §13)."""

import asyncio
from collections import Counter

import pytest

from tests.support.service import User

CHANGES = [
    ("PUT", "", {"title": "T"}),
    ("PATCH", "", {"title": "T"}),
    ("PATCH", "/complete", None),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "suffix", "body"), CHANGES)
@pytest.mark.parametrize(
    ("headers", "is_met"),
    [
        ({"If-Match": '"v1"'}, True),
        ({"If-Match": '"v7", "v1"'}, True),
        ({"If-Match": "*"}, True),
        ({"If-Match": '"v2"'}, False),
        ({"If-Match": 'W/"v1"'}, False),
        ({"If-Match": '"of-another-server"'}, False),
        ({"If-Match": '"v99999999999999999999"'}, False),
        ({"If-None-Match": '"v2"'}, True),
        ({"If-None-Match": '"v1"'}, False),
        ({"If-None-Match": "*"}, False),
        ({"If-Match": '"v1"', "If-None-Match": '"v2"'}, True),
    ],
)
async def test_update_depends_on_the_version(
    alice: User,
    method: str,
    suffix: str,
    body: dict[str, str] | None,
    headers: dict[str, str],
    *,
    is_met: bool,
) -> None:
    task = await alice.create()
    answer = await alice.request(method, f"/{task['id']}{suffix}", headers=headers, json=body)
    if is_met:
        assert answer.status_code in {200, 204}
    else:
        assert answer.status_code == 412
        assert answer.json()["type"] == "urn:task-service:problem:precondition-failed"
        assert (await alice.request("GET", f"/{task['id']}")).json() == task


@pytest.mark.parametrize("headers", [{"If-Match": "*"}, {"If-Match": '"v1"'}, {"If-None-Match": "*"}])
async def test_absent_task_is_404_for_every_condition(alice: User, headers: dict[str, str]) -> None:
    assert (await alice.request("DELETE", "/1", headers=headers)).status_code == 404


@pytest.mark.parametrize(("tags", "status"), [('"v9", "v1"', 304), ('"v2"', 200)])
async def test_unchanged_task_is_304(alice: User, tags: str, status: int) -> None:
    task = await alice.create()
    answer = await alice.request("GET", f"/{task['id']}", headers={"If-None-Match": tags})
    assert answer.status_code == status
    assert answer.headers["etag"] == '"v1"'
    assert bool(answer.content) == (status == 200)


async def test_malformed_entity_tag_is_reported(alice: User) -> None:
    answer = await alice.request("DELETE", "/1", headers={"If-Match": '"a" "b"'})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/header/if-match"


async def test_one_of_many_writers_with_the_same_version_succeeds(alice: User) -> None:
    task = await alice.create()
    answers = await asyncio.gather(
        *(
            alice.request(
                "PATCH", f"/{task['id']}", headers={"If-Match": '"v1"'}, json={"title": f"Writer {number}"}
            )
            for number in range(20)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}


async def test_no_concurrent_toggle_is_lost(alice: User) -> None:
    task = await alice.create()
    answers = await asyncio.gather(*(alice.request("PATCH", f"/{task['id']}/complete") for _ in range(21)))
    assert Counter(answer.json()["completed"] for answer in answers) == {True: 11, False: 10}
