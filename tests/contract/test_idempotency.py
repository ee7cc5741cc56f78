"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header)."""

import asyncio
from collections import Counter
from uuid import uuid4

import asyncpg

from tests.support.service import User


def key(value: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": value or str(uuid4())}


async def test_retry_gets_the_stored_response(alice: User) -> None:
    headers = key()
    first = await alice.request("POST", headers=headers, json={"title": "Once"})
    await alice.request("PATCH", f"/{first.json()['id']}", json={"title": "Changed since"})
    again = await alice.request("POST", headers=headers, json={"title": "Once"})
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("location", "etag"):
        assert again.headers[name] == first.headers[name]
    assert (await alice.list())["count"] == 1


async def test_quoted_key_is_the_same_key(alice: User) -> None:
    first = await alice.request("POST", headers=key("abc"), json={"title": "Once"})
    again = await alice.request("POST", headers=key('"abc"'), json={"title": "Once"})
    assert first.json() == again.json()


async def test_key_with_another_body_is_rejected(alice: User) -> None:
    headers = key()
    await alice.request("POST", headers=headers, json={"title": "One"})
    answer = await alice.request("POST", headers=headers, json={"title": "Two"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:task-service:problem:idempotency-key-reused"
    assert (await alice.list())["count"] == 1


async def test_key_belongs_to_its_user(alice: User, bob: User) -> None:
    headers = key()
    await alice.request("POST", headers=headers, json={"title": "Alice's"})
    answer = await bob.request("POST", headers=headers, json={"title": "Bob's"})
    assert (answer.status_code, answer.json()["title"]) == (201, "Bob's")


async def test_rejected_request_does_not_use_the_key(alice: User) -> None:
    headers = key()
    assert (await alice.request("POST", headers=headers, json={"title": ""})).status_code == 422
    assert (await alice.request("POST", headers=headers, json={"title": "Good"})).status_code == 201


async def test_concurrent_retries_create_one_task(alice: User) -> None:
    headers = key()
    answers = await asyncio.gather(
        *(alice.request("POST", headers=headers, json={"title": "Once"}) for _ in range(20))
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "urn:task-service:problem:idempotency-key-in-progress"
            assert int(answer.headers["retry-after"]) >= 1
    assert (await alice.list())["count"] == 1


async def test_key_expires_after_a_day(alice: User, connection: asyncpg.Connection) -> None:
    headers = key()
    await alice.request("POST", headers=headers, json={"title": "Once"})
    await connection.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second' WHERE user_id = $1",
        alice.id,
    )
    assert (await alice.request("POST", headers=headers, json={"title": "Again"})).status_code == 201
    assert (
        await connection.fetchval("SELECT count(*) FROM idempotency_keys WHERE user_id = $1", alice.id) == 1
    )


async def test_invalid_key_is_reported(alice: User) -> None:
    answer = await alice.client.post(
        alice.tasks, headers=[(b"Idempotency-Key", "café".encode())], json={"title": "Once"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/header/idempotency-key"
