"""The service and its migrations need exactly the privileges that docs/operations.md lists."""

import contextlib
import re
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from backend.db.schema import SCHEMA
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.idempotency_purge import purge
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.rollout import migrate_with_retry, wait_until_migrated
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_inspection import inspect_schema_at
from tests.support.database import Server
from tests.support.routes import example_path
from tests.support.service import RunningService, User, running_service, service_settings

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
SECTION = PAGE.partition("## Roles of the database")[2].partition("\n## ")[0]
MIGRATION_GRANTS, SERVICE_GRANTS = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)
(DEFAULT_PRIVILEGES,) = re.findall(r"`(ALTER DEFAULT PRIVILEGES .*?)`", SECTION)

USERS_OF_THE_FRONTEND = """
    CREATE TABLE users ("id" text PRIMARY KEY, "name" text NOT NULL, "email" text NOT NULL UNIQUE,
        "emailVerified" boolean NOT NULL, "image" text, "createdAt" timestamptz DEFAULT now() NOT NULL,
        "updatedAt" timestamptz DEFAULT now() NOT NULL);
"""


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def login_role(server: Server, url: str) -> AsyncIterator[tuple[str, str]]:
    """Yield the name of a role that may do nothing yet, and its URL of the database."""
    name = f"role_{uuid4().hex}"
    await server.execute(f"CREATE ROLE {name} LOGIN")
    try:
        yield name, url.replace("postgres@", f"{name}@")
    finally:
        await execute(url, f"DROP OWNED BY {name} CASCADE")
        await server.execute(f"DROP ROLE {name}")


@pytest.fixture
async def service_role(migrated_server: tuple[Server, str], database_url: str) -> AsyncIterator[str]:
    """The URL of a role with the service's grants and no other right."""
    async with login_role(migrated_server[0], database_url) as (name, url):
        await execute(database_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await execute(database_url, SERVICE_GRANTS.replace("service_role", name))
        yield url


def role_of(url: str) -> str:
    return urlsplit(url).netloc.partition("@")[0]


def example(operation: dict[str, Any]) -> Any:
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")


async def call_every_operation(service: RunningService, user: User) -> None:
    """Send each request that the OpenAPI document describes, with its own example."""
    operations: list[tuple[str, str, dict[str, Any]]] = [
        (method.upper(), path, operation)
        for path, methods in service.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "{user_id}" in path
    ]
    assert len(operations) >= 7
    for method, template, operation in sorted(operations, key=lambda each: each[0] == "DELETE"):
        collection = "/".join(template.split("/")[:4])
        post = service.app.openapi()["paths"][collection].get("post")
        numbers = [
            (await user.client.post(collection.format(user_id=user.id), json=example(post))).json()["id"]
            for _ in range(2 if post else 0)
        ]
        path = example_path(template, user.id, *numbers[:1])
        body = deepcopy(example(operation))
        for each in (body or {}).get("operations", []):  # of a batch
            if "id" in each:
                each |= {"id": numbers.pop()}
        required = {
            each["name"]: each["schema"]["const"]
            for each in operation["parameters"]
            if each["in"] == "query" and each["required"]
        }
        for headers in [{}, {"Idempotency-Key": uuid4().hex}] if method == "POST" else [{}]:
            if headers and "operations" in body:
                continue  # its tasks have changed
            answer = await user.client.request(method, path, json=body, headers=headers, params=required)
            assert answer.status_code < 300, (method, path, answer.text)
    for query in ({"search": "milk"}, {"sort": "title", "order": "asc"}, {"status": "pending", "limit": 1}):
        assert (await user.list(**query))["count"] >= 1


async def test_service_needs_no_other_privilege_on_any_route(service_role: str) -> None:
    async with running_service(service_settings(service_role)) as service, service.user() as user:
        await call_every_operation(service, user)
        assert (await user.client.get("/readyz")).json() == {"status": "ready"}
    assert "is current" in await wait_until_migrated(
        service_role, SCHEMA, timeout_seconds=0, report=pytest.fail
    )
    assert "Deleted 0 " in await purge(parse_dsn(service_role), timeout_seconds=0, report=pytest.fail)


@pytest.mark.parametrize(
    ("table", "right"), [(table, right) for table, rights in SCHEMA.grants.items() for right in rights]
)
async def test_missing_privilege_is_reported_with_its_grant(
    database_url: str, service_role: str, table: str, right: str
) -> None:
    await execute(database_url, f"REVOKE {right} ON {table} FROM {role_of(service_role)}")
    grant = f"GRANT {right} ON {table} TO {role_of(service_role)}"
    reason = f"the service's role lacks rights; run as the tables' owner: {grant}"
    with pytest.raises(ConfigurationError) as refused:
        await wait_until_migrated(service_role, SCHEMA, timeout_seconds=600, report=pytest.fail)
    assert str(refused.value) == reason
    async with running_service(service_settings(service_role)) as service, service.user() as user:
        assert (await user.client.get("/readyz")).json()["reason"] == reason
        await execute(database_url, grant)
        assert (await user.client.get("/readyz")).status_code == 200


async def test_role_without_privileges_gets_all_missing_grants(
    migrated_server: tuple[Server, str], database_url: str
) -> None:
    async with login_role(migrated_server[0], database_url) as (_, url):
        grants = set((await inspect_schema_at(url, SCHEMA)).missing_grants)
        for grant in grants:
            await execute(database_url, grant)
        assert (await inspect_schema_at(url, SCHEMA)).defect is None
        assert len(grants) == len(SCHEMA.grants)


async def test_missing_usage_on_the_schema_is_not_reported_as_missing_migration(
    database_url: str, service_role: str
) -> None:
    await execute(database_url, f"REVOKE USAGE ON SCHEMA public FROM {role_of(service_role)}")
    with pytest.raises(ConfigurationError, match=f"GRANT USAGE ON SCHEMA public TO {role_of(service_role)}$"):
        await wait_until_migrated(service_role, SCHEMA, timeout_seconds=600, report=pytest.fail)


async def test_column_privileges_are_accepted(database_url: str, service_role: str) -> None:
    role = role_of(service_role)
    await execute(
        database_url,
        f'REVOKE INSERT ON users FROM {role}; GRANT INSERT (id, name, email, "emailVerified") ON users TO {role}',
    )
    assert (await inspect_schema_at(service_role, SCHEMA)).defect is None


async def test_users_table_of_the_frontend_needs_no_privilege(database_url: str, service_role: str) -> None:
    await execute(
        database_url,
        'CREATE TABLE session (id text PRIMARY KEY, "userId" text REFERENCES users (id) ON DELETE CASCADE);'
        f"REVOKE ALL ON users FROM {role_of(service_role)}",
    )
    assert (await inspect_schema_at(service_role, SCHEMA)).defect is None


async def test_migrations_need_no_other_privilege(
    migrated_server: tuple[Server, str], empty_database_url: str
) -> None:
    database = urlsplit(empty_database_url).path[1:]
    await execute(empty_database_url, USERS_OF_THE_FRONTEND)
    async with (
        login_role(migrated_server[0], empty_database_url) as (service, service_url),
        login_role(migrated_server[0], empty_database_url) as (migration, migration_url),
    ):

        def named(sql: str) -> str:
            names = {"migration_role": migration, "service_role": service, "tasks": database}
            return re.sub(r"migration_role|service_role|(?<=DATABASE )tasks", lambda m: names[m[0]], sql)

        with pytest.raises(ConfigurationError, match=r"permission denied for schema public .*operations\.md"):
            await migrate_with_retry(
                migration_url, SCHEMA, revision="head", timeout_seconds=600, report=pytest.fail
            )
        await execute(empty_database_url, named(MIGRATION_GRANTS))
        await execute(empty_database_url, named(DEFAULT_PRIVILEGES))
        assert (
            await migrate(migration_url, SCHEMA) == f"The database went from empty to {SCHEMA.head_revision}."
        )
        # The migration's role is not the owner of the frontend's table, so its default privileges leave that out.
        await execute(empty_database_url, named("GRANT SELECT, INSERT ON users TO service_role"))
        schema = await inspect_schema_at(service_url, SCHEMA)
        assert (schema.state, schema.defect) == (SchemaState.CURRENT, None)
