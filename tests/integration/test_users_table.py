"""Ownership of `users`: by the catalog, by the setting, and the meaning of a violated foreign key."""

import asyncpg
import httpx
import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from tests.support.service import running_service, service_settings

SNAKE_CASE = """
    CREATE TABLE users (id varchar(36) PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE,
        email_verified boolean NOT NULL, created_at timestamp NOT NULL DEFAULT now())
"""


async def fetch(url: str, sql: str, *arguments: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def create_as(url: str, user_id: str, owner: str = "auto") -> httpx.Response:
    settings = service_settings(url, users_table_owner=owner)
    async with running_service(settings) as service, service.user(user_id) as user:
        return await user.request("POST", json={"title": "Buy milk"})


def is_refused_token(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 401
        and answer.headers["www-authenticate"].startswith("Bearer")
        and answer.json()["type"] == "urn:task-service:problem:invalid-token"
    )


async def test_table_with_columns_that_the_service_does_not_know(empty_database_url: str) -> None:
    await fetch(empty_database_url, SNAKE_CASE)
    await migrate(empty_database_url, SCHEMA)
    assert is_refused_token(await create_as(empty_database_url, "ada"))
    assert await fetch(empty_database_url, "SELECT FROM users") == []
    await fetch(empty_database_url, "INSERT INTO users VALUES ('ada', 'Ada', 'ada@example.com', true)")
    assert (await create_as(empty_database_url, "ada")).status_code == 201


async def test_setting_declares_the_frontend_as_owner(database_url: str) -> None:
    assert is_refused_token(await create_as(database_url, "ada", "frontend"))
    assert await fetch(database_url, "SELECT FROM users") == []
    await fetch(database_url, "INSERT INTO users (id, name, email) VALUES ('ada', '', '')")
    assert (await create_as(database_url, "ada", "frontend")).status_code == 201


async def test_setting_declares_the_service_as_owner(database_url: str) -> None:
    await fetch(database_url, "CREATE TABLE profiles (user_id text REFERENCES users)")
    assert is_refused_token(await create_as(database_url, "ada"))
    assert (await create_as(database_url, "ada", "service")).status_code == 201


async def test_table_that_the_service_cannot_fill_is_a_permanent_failure(empty_database_url: str) -> None:
    await fetch(empty_database_url, SNAKE_CASE)
    await migrate(empty_database_url, SCHEMA)
    answer = await create_as(empty_database_url, "ada", "service")
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:task-service:problem:user-not-registered",
    )
    assert "retry-after" not in answer.headers


async def test_table_of_a_later_release_is_owned_by_the_service(database_url: str) -> None:
    """During a rollout this release runs on the next one's schema."""
    await fetch(database_url, "CREATE TABLE labels (user_id text CONSTRAINT labels_user REFERENCES users)")
    await fetch(database_url, "COMMENT ON CONSTRAINT labels_user ON labels IS 'task-service'")
    assert (await create_as(database_url, "ada")).status_code == 201


async def test_foreign_keys_of_the_migrations_are_recognized(database_url: str) -> None:
    references = await fetch(
        database_url,
        "SELECT conrelid::regclass::text AS table, obj_description(oid, 'pg_constraint') AS comment"
        " FROM pg_constraint WHERE contype = 'f' AND confrelid = 'users'::regclass",
    )
    assert {"tasks", "idempotency_keys"} <= {row["table"] for row in references}
    # The first release knows these two by their names; it knows no table that was added after it.
    for row in references:
        assert row["table"] in {"tasks", "idempotency_keys"} or row["comment"] == "task-service"


@pytest.mark.parametrize("owner", ["auto", "service"])
async def test_violation_of_another_foreign_key_is_not_a_missing_user(database_url: str, owner: str) -> None:
    await fetch(database_url, "CREATE TABLE plans (name text PRIMARY KEY)")
    await fetch(database_url, "INSERT INTO users (id, name, email) VALUES ('ada', '', '')")
    await fetch(database_url, "ALTER TABLE tasks ADD plan text DEFAULT 'none' REFERENCES plans")
    answer = await create_as(database_url, "ada", owner)
    assert answer.status_code == 500
    assert "retry-after" not in answer.headers
