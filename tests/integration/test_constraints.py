"""The table enforces the limits of the schemas for other writers, too."""

import asyncpg
import pytest

from tests.support.service import User

VALID = [
    "priority = 1",
    "priority = 3",
    "priority = NULL",
    "due_date = '1970-01-01'",
    "due_date = '9999-12-31'",
    "due_at = '1970-01-01 00:00:00Z'",
    "due_at = '9999-12-31 23:59:59.999999Z'",
    "due_date = NULL, due_at = now()",
    "tags = ARRAY['home', 'Work']",
    "tags = ARRAY[repeat('x', 50)]",
    "tags = ARRAY[U&'\\00e9', U&'\\00c9']",  # the schemas reject it: A to Z alone are compared without case
    "tags = (SELECT array_agg('tag ' || n) FROM generate_series(1, 20) AS n)",
    "title = repeat('x', 200), description = repeat('x', 10000)",
]
INVALID = [
    "priority = 0",
    "priority = 4",
    "priority = -1",
    "due_date = '1969-12-31'",
    "due_date = '10000-01-01'",
    "due_date = 'infinity'",
    "due_date = '-infinity'",
    "due_at = '1969-12-31 23:59:59.999999Z'",
    "due_at = '10000-01-01 00:00:00Z'",
    "due_at = 'infinity'",
    "due_at = '-infinity'",
    "due_date = '2026-12-01', due_at = '2026-12-01 12:00:00Z'",
    "tags = '{}'",
    "tags = (SELECT array_agg('tag ' || n) FROM generate_series(1, 21) AS n)",
    "tags = ARRAY[['a', 'b'], ['c', 'd']]",
    "tags = ARRAY['a', NULL]",
    "tags = ARRAY['']",
    "tags = ARRAY[' a']",
    "tags = ARRAY['a ']",
    "tags = ARRAY[repeat('x', 51)]",
    "tags = ARRAY[U&'e\\0301']",
    "tags = ARRAY['home', 'home']",
    "tags = ARRAY['home', 'work', 'HOME']",
    "title = ''",
    "title = repeat('x', 201)",
    "description = repeat('x', 10001)",
]


async def update(connection: "asyncpg.Connection[asyncpg.Record]", user: User, assignment: str) -> None:
    await user.create()
    await connection.execute(f"UPDATE tasks SET {assignment} WHERE user_id = $1", user.id)  # noqa: S608 - a constant of the test


@pytest.mark.parametrize("assignment", VALID)
async def test_valid_value_is_stored(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", assignment: str
) -> None:
    await update(connection, alice, assignment)


@pytest.mark.parametrize("assignment", INVALID)
async def test_invalid_value_is_rejected(
    alice: User, connection: "asyncpg.Connection[asyncpg.Record]", assignment: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="tasks_fields_valid"):
        await update(connection, alice, assignment)
