"""A user deleted by a real Better Auth stays deleted, and their unexpired tokens can write nothing."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.migration import migrate
from tests.support.better_auth import SECRET, BetterAuth, SignedUp, better_auth
from tests.support.routes import endpoints
from tests.support.service import RunningService, running_service, service_settings
from tests.support.waiting import scaled

pytestmark = pytest.mark.timeout(180)

SNAKE_CASE = {
    "user": {
        "modelName": "users",
        "fields": {"emailVerified": "email_verified", "createdAt": "created_at", "updatedAt": "updated_at"},
    },
    "session": {
        "modelName": "sessions",
        "fields": {
            "userId": "user_id",
            "expiresAt": "expires_at",
            "createdAt": "created_at",
            "updatedAt": "updated_at",
        },
    },
    "account": {"modelName": "accounts", "fields": {"userId": "user_id", "accountId": "account_id"}},
    "verification": {"modelName": "verifications"},
}
OWN_NAMES = {
    "session": {"modelName": "logins"},
    "account": {"modelName": "credentials"},
    "verification": {"modelName": "codes"},
}
SINGULAR = {"user": {"modelName": "user"}}


def task_requests(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Return method and path, below a user's tasks, of every route that needs a token."""
    prefix = "/api/{user_id}/tasks"
    for endpoint in endpoints(app):
        if endpoint.path.startswith(prefix):
            yield endpoint.method, endpoint.path.removeprefix(prefix)


async def call(
    service: RunningService, user: SignedUp, token: str, method: str, path: str = "", **options: Any
) -> httpx.Response:
    options["headers"] = {"Authorization": f"Bearer {token}"} | options.get("headers", {})
    task = {"title": "Buy milk"}
    if method in {"POST", "PUT", "PATCH"}:
        operation = {"operation": "create", "task": task}
        options["json"] = {"operations": [operation]} if path == "/batch" else task
    if (method, path) == ("DELETE", ""):
        options["params"] = {"status": "completed"}
    async with httpx.AsyncClient(base_url=service.url, timeout=scaled(10)) as client:
        return await client.request(method, f"/api/{user.id}/tasks{path}", **options)


async def create(service: RunningService, user: SignedUp, token: str, **options: Any) -> int:
    answer = await call(service, user, token, "POST", **options)
    assert answer.status_code == 201, answer.text
    task_id: int = answer.json()["id"]
    return task_id


async def fetch(url: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def service_of(
    frontend: BetterAuth, database_url: str, **settings: Any
) -> AsyncIterator[RunningService]:
    values = {"better_auth_secret": None, "better_auth_url": frontend.url} | settings
    async with running_service(service_settings(database_url, **values)) as service:
        yield service


def is_refused_token(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 401
        and answer.headers["www-authenticate"].startswith("Bearer")
        and answer.json()["type"] == "urn:task-service:problem:invalid-token"
    )


async def assert_nothing_is_left(service: RunningService, user: SignedUp, token: str, task_id: int) -> None:
    """Call every route as a deleted user."""
    requests = list(task_requests(service.app))
    assert {("POST", ""), ("GET", ""), ("DELETE", "/{task_id}")} <= set(requests)
    for method, path in requests:
        answer = await call(service, user, token, method, path.replace("{task_id}", str(task_id)))
        said = f"{method} {path}: {answer.status_code} {answer.text}"
        if "{task_id}" in path:
            assert answer.status_code == 404, said
        elif method == "POST":
            assert is_refused_token(answer), said
        else:
            assert answer.status_code == 200, said
            assert "Buy milk" not in answer.text, said
    with_key = await call(service, user, token, "POST", headers={"Idempotency-Key": "a-key"})
    assert is_refused_token(with_key)


async def assert_deleted_user_stays_deleted(
    frontend: BetterAuth, service: RunningService, database_url: str
) -> None:
    """Delete a user, use the live token, and sign up again with the same e-mail address."""
    ada, bob = await frontend.sign_up("Ada"), await frontend.sign_up("Bob")
    token = await frontend.token(ada)
    task_id = await create(service, ada, token, headers={"Idempotency-Key": "a-key"})
    await create(service, bob, await frontend.token(bob))
    await frontend.delete(ada)
    await assert_nothing_is_left(service, ada, token, task_id)
    assert await fetch(database_url, "SELECT id FROM users WHERE id <> $1", bob.id) == []
    again = await frontend.sign_up("Ada")
    assert (again.email, again.id == ada.id) == (ada.email, False)
    await create(service, again, await frontend.token(again))
    assert is_refused_token(await call(service, ada, token, "POST"))
    users = await fetch(database_url, "SELECT id, email FROM users")
    assert {tuple(user) for user in users} == {(user.id, user.email) for user in (again, bob)}


@pytest.mark.parametrize(
    "schema", [None, OWN_NAMES, SNAKE_CASE], ids=["default", "other table names", "snake_case"]
)
async def test_one_database(empty_database_url: str, schema: dict[str, Any] | None) -> None:
    async with better_auth(empty_database_url, algorithm="EdDSA", schema=schema) as frontend:
        await migrate(empty_database_url, SCHEMA)
        async with service_of(frontend, empty_database_url) as service:
            await assert_deleted_user_stays_deleted(frontend, service, empty_database_url)


async def test_frontend_creates_its_tables_while_the_service_runs(database_url: str) -> None:
    settings = service_settings(database_url, better_auth_secret=SECRET)
    async with running_service(settings) as service:
        async with service.user("early") as early:
            await early.create()
        await fetch(database_url, "DELETE FROM users")
        async with better_auth(database_url, algorithm="HS256") as frontend:
            await assert_deleted_user_stays_deleted(frontend, service, database_url)


@pytest.mark.parametrize("is_shared", [False, True], ids=["another database", "another table"])
async def test_users_elsewhere(empty_database_url: str, database_url: str, *, is_shared: bool) -> None:
    """The service cannot see that a user was deleted, and keeps nothing that a new sign-up could collide with."""
    theirs = database_url if is_shared else empty_database_url
    async with (
        better_auth(theirs, algorithm="EdDSA", schema=SINGULAR if is_shared else None) as frontend,
        service_of(frontend, database_url) as service,
    ):
        ada = await frontend.sign_up("Ada")
        token = await frontend.token(ada)
        await create(service, ada, token)
        await frontend.delete(ada)
        await create(service, ada, token)
        again = await frontend.sign_up("Ada")
        assert (again.email, again.id == ada.id) == (ada.email, False)
        token = await frontend.token(again)
        task_id = await create(service, again, token)
        # Last the deletion of the task, then of all completed tasks.
        requests = sorted(
            task_requests(service.app), key=lambda request: (request[0] == "DELETE", request[1] == "")
        )
        for method, path in requests:
            answer = await call(service, again, token, method, path.replace("{task_id}", str(task_id)))
            assert answer.is_success, answer.text
        rows = await fetch(database_url, 'SELECT id, name, email, "emailVerified" FROM users')
        assert {row["id"] for row in rows} == {ada.id, again.id}
        for row in rows:
            assert (row["name"], row["emailVerified"]) == ("", False)
            assert row["email"].endswith("@users.invalid")


@pytest.mark.parametrize("kind", ["uuid", "serial"])
async def test_ids_that_tasks_cannot_refer_to_are_refused_at_migrate(
    empty_database_url: str, kind: str
) -> None:
    schema = {"advanced": {"database": {"generateId": kind}}}
    async with better_auth(empty_database_url, algorithm="EdDSA", schema=schema):
        with pytest.raises(ConfigurationError, match=r"^users\.id is of type (uuid|integer); .*generateId"):
            await migrate(empty_database_url, SCHEMA)
