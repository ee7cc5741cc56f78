"""A router of shards can send every statement to the shard of its user. The statements are discovered, see test_isolation."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Text, delete, func, insert, literal, select, update
from sqlalchemy.sql import ClauseElement

from backend.db.schema import SCHEMA
from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres.statement import CompiledStatement, parameter
from tests.architecture.test_isolation import request_statements, user_column

USER_COLUMNS = {
    table.name: column for table in (USERS, *SCHEMA.tables) if (column := user_column(table)) is not None
}
INSERT = re.compile(r"\bINSERT INTO (\w+) \(([^)]*)\)\s*(\w+)\s*\(([^)]*)\)?")


def faults(statement: CompiledStatement) -> Iterator[str]:
    """Yield each property of the SQL text that prevents a router from finding one shard.

    SPQR compares a column with a parameter, reads the columns of INSERT … VALUES, and cannot parse `<> ALL`.
    """
    numbers = statement.arguments({name: name for name in statement.parameters})
    users = {number for number, name in enumerate(numbers, 1) if name == "user_id"}
    sql = statement.sql
    if re.search(r"[<>=!~]\s*ALL\b", sql, re.IGNORECASE):
        yield "compares with ALL"
    routed = False
    for table, columns, keyword, values in INSERT.findall(sql):
        if keyword != "VALUES":
            yield f"inserts into {table} from a query"
        given = dict(zip(columns.split(", "), values.split(", "), strict=False))
        column = USER_COLUMNS.get(table)
        routed = column is not None and is_user(given.get(column.name, ""), users)
    for table, column in USER_COLUMNS.items():
        for found in re.findall(rf"\b{table}\.{column.name} = (\S+)", sql):
            routed = routed or is_user(found, users)
    if not routed:
        yield "names no table with its user column as a parameter"


def is_user(text: str, users: set[int]) -> bool:
    found = re.match(r"\$(\d+)\b", text)
    return found is not None and int(found[1]) in users


def test_a_router_finds_the_shard_of_every_statement() -> None:
    for statement in request_statements():
        assert list(faults(statement)) == [], statement.sql


USER = parameter("user_id", Text)
OTHER = parameter("someone", Text)


@pytest.mark.parametrize(
    "expression",
    [
        select(func.pg_try_advisory_xact_lock(func.hashtext(USER))),
        select(TASKS.c.id).where(TASKS.c.user_id == OTHER, TASKS.c.title == USER),
        select(TASKS.c.id).where(TASKS.c.user_id.in_(select(USER))),
        select(TASKS.c.id).where(func.lower(TASKS.c.user_id) == USER),
        select(TASKS.c.id).where(
            TASKS.c.user_id == USER, TASKS.c.id != func.all(parameter("ids", TASKS.c.id.type))
        ),
        update(TASKS).values(title="x").where(TASKS.c.user_id > USER),
        delete(TASKS).where(TASKS.c.id == parameter("task_id", TASKS.c.id.type), func.length(USER) > 1),
        insert(TASKS).values(user_id=OTHER, title=USER),
        insert(TASKS).values(user_id=func.lower(USER), title="x"),
        insert(USERS).from_select(["id", "name", "email"], select(USER, literal(""), literal(""))),
    ],
    ids=str,
)
def test_a_statement_that_no_router_can_route_is_detected(expression: ClauseElement) -> None:
    assert list(faults(CompiledStatement("example", expression)))


def test_the_user_column_of_every_table_is_known() -> None:
    found = {table: column.name for table, column in USER_COLUMNS.items()}
    assert found.items() >= {"users": "id", "tasks": "user_id", "idempotency_keys": "user_id"}.items()
