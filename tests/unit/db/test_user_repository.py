"""Who owns `users`, decided from its columns and foreign keys, and what the service then writes."""

import re
from typing import Any, cast

import pytest

from backend.db.user_repository import INSERT_USER_IF_ABSENT, UserRepository, UsersTable, UsersTableOwner
from backend.errors import UserNotRegistered
from backend.platform.postgres.database import Database
from backend.platform.postgres.statement import CompiledStatement

OURS = {
    "id": True,
    "name": True,
    "email": True,
    "emailVerified": False,
    "image": False,
    "createdAt": False,
    "updatedAt": False,
}
SNAKE_CASE = {
    "id": True,
    "name": True,
    "email": True,
    "email_verified": True,
    "image": False,
    "created_at": False,
    "updated_at": False,
}
TABLES = {
    # columns, referenced, the frontend's, writable
    "made by the service": (OURS, False, False, True),
    "referenced by session": (OURS, True, True, True),
    "made by Better Auth": (OURS | {"emailVerified": True}, False, True, False),
    "snake_case": (SNAKE_CASE, False, True, False),
    "snake_case with defaults": (SNAKE_CASE | {"email_verified": False}, False, True, True),
    "unknown required column": (OURS | {"hashed_password": True}, False, True, False),
    "unknown optional column": (OURS | {"role": False}, False, True, True),
    "only an id": ({"id": True}, False, True, False),
    "id with a default": (OURS | {"id": False}, False, False, True),
}


class FakeDatabase:
    """Has one `users` table, and remembers what is written to it."""

    def __init__(self, columns: dict[str, bool], *, is_referenced: bool) -> None:
        self.rows = [
            {"name": name, "is_required": is_required, "is_referenced": is_referenced}
            for name, is_required in columns.items()
        ]
        self.lookups = 0
        self.written: list[dict[str, Any]] = []

    async def read_catalog(self, work: Any) -> Any:
        self.lookups += 1

        class Connection:
            async def fetch(_self, _query: str, *_arguments: Any) -> list[dict[str, Any]]:  # noqa: N805
                return self.rows

        return await work(Connection())

    async def fetch(self, statement: CompiledStatement, **values: Any) -> list[Any]:
        assert statement is INSERT_USER_IF_ABSENT
        self.written.append(values)
        return []


def repository_on(database: FakeDatabase, owner: UsersTableOwner) -> UserRepository:
    return UserRepository(cast("Database", database), owner)


@pytest.mark.parametrize(
    ("columns", "is_referenced", "is_frontends", "is_writable"), TABLES.values(), ids=TABLES
)
def test_owner_follows_from_columns_and_references(
    columns: dict[str, bool], *, is_referenced: bool, is_frontends: bool, is_writable: bool
) -> None:
    table = UsersTable(columns, is_referenced)
    assert (table.belongs_to_frontend, table.is_writable) == (is_frontends, is_writable)


@pytest.mark.parametrize(
    ("owner", "is_referenced", "lookups", "is_written"),
    [
        ("auto", False, 1, True),
        ("auto", True, 1, False),
        ("service", True, 1, True),
        ("frontend", False, 0, False),
    ],
)
async def test_row_is_written_only_where_the_service_owns_the_table(
    owner: UsersTableOwner, lookups: int, *, is_referenced: bool, is_written: bool
) -> None:
    database = FakeDatabase(OURS, is_referenced=is_referenced)
    assert await repository_on(database, owner).ensure_user("ada") is is_written
    assert (database.lookups, len(database.written)) == (lookups, int(is_written))


async def test_table_that_the_service_cannot_fill_is_a_permanent_refusal() -> None:
    database = FakeDatabase(SNAKE_CASE, is_referenced=False)
    with pytest.raises(UserNotRegistered):
        await repository_on(database, "service").ensure_user("ada")
    assert database.written == []


async def test_placeholder_address_is_valid_and_different_for_every_id() -> None:
    database = FakeDatabase(OURS, is_referenced=False)
    ids = ["ada", "Ada", "ada ", "a@b", '"', "..", "نام", "👩" * 255, "u" * 255]
    for user_id in ids:
        await repository_on(database, "auto").ensure_user(user_id)
    assert [row["user_id"] for row in database.written] == ids
    addresses = [row["email"] for row in database.written]
    assert len({address.lower() for address in addresses}) == len(ids)
    for address in addresses:
        assert re.fullmatch(r"[a-z0-9]{1,64}@users\.invalid", address)
