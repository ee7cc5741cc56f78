"""Every statement restricts its rows to one user. The statements are discovered, so that new ones are checked."""

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from sqlalchemy import Column, Delete, Insert, Select, Table, Update, delete, insert, select, true, update
from sqlalchemy.sql import ClauseElement, operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

import backend
from backend.db.schema import SCHEMA
from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres.idempotency_purge import PURGE_KEYS
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task_page import SORT_KEYS

ROOT = Path(backend.__path__[0])


def statements() -> Iterator[CompiledStatement]:
    """Yield every statement of each module that constructs one: module constants, and results of functions."""
    for path in sorted(ROOT.rglob("*.py")):
        if "CompiledStatement(" not in path.read_text():
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
        for value in vars(module).values():
            if isinstance(value, CompiledStatement):
                yield value
            elif callable(value) and getattr(value, "__module__", None) == module.__name__:
                yield from results(value)


def results(function: Callable[..., Any]) -> Iterator[CompiledStatement]:
    """Yield the result of a function that returns a statement, for each combination of its arguments."""
    hints = get_type_hints(inspect.unwrap(function)) if not inspect.isclass(function) else {}
    if hints.pop("return", None) is not CompiledStatement:
        return
    choices = [list(arguments(hint)) for hint in hints.values()]
    assert all(choices), f"{function}: an argument has no finite set of values"
    for values in product(*choices):
        yield function(**dict(zip(hints, values, strict=True)))


def arguments(hint: Any) -> Iterator[Any]:
    """Yield each value of a Literal, or each set of the values of a frozenset of a Literal."""
    if get_origin(hint) is frozenset:
        values = get_args(get_args(hint)[0])
        sizes = range(len(values) + 1)
        yield from map(frozenset, chain.from_iterable(combinations(values, size) for size in sizes))
    else:
        yield from get_args(hint)


def user_column(table: Table) -> Column[Any] | None:
    return table.c.id if table is USERS else table.c.get("user_id")


def conjuncts(clause: Any) -> Iterator[Any]:
    if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for each in clause.clauses:
            yield from conjuncts(each)
    elif clause is not None:
        yield clause


def is_user_parameter(value: Any) -> bool:
    return isinstance(value, BindParameter) and value.key == "user_id" and value.required


def restricts(clause: Any, column: Column[Any]) -> bool:
    """Return whether a WHERE clause has the conjunct `column = :user_id`."""
    return any(
        isinstance(each, BinaryExpression)
        and each.operator is operators.eq
        and each.left is column
        and is_user_parameter(each.right)
        for each in conjuncts(clause)
    )


def faults(expression: ClauseElement) -> Iterator[str]:
    """Yield each part of a statement that can reach the rows of another user."""
    for part in visitors.iterate(expression):
        if isinstance(part, Insert):
            column = user_column(part.table)  # type: ignore[arg-type]  # all are tables
            names = (key if isinstance(key, str) else key.name for key in part._values or ())
            given: dict[str, Any] = dict(zip(names, (part._values or {}).values(), strict=True))
            if part.select is not None:
                selected = list(part.select.selected_columns)
                given = {
                    str(name): value for name, value in zip(part._select_names or (), selected, strict=True)
                }
            if column is not None and not is_user_parameter(given.get(column.name)):
                yield f"inserts into {part.table} for another user"
        elif isinstance(part, (Update, Delete)):
            column = user_column(part.table)  # type: ignore[arg-type]  # all are tables
            if column is not None and not restricts(part.whereclause, column):
                yield f"writes to {part.table} of other users"
        elif isinstance(part, Select):
            for table in part.get_final_froms():
                column = user_column(table) if isinstance(table, Table) else None
                # `users` may be read: the only fact about other users is that an e-mail address is taken.
                if column is not None and table is not USERS and not restricts(part.whereclause, column):
                    yield f"reads {table} of other users"


ADMINISTRATIVE = [PURGE_KEYS]
"""Statements of commands, which no request can run."""


@functools.cache
def request_statements() -> tuple[CompiledStatement, ...]:
    """Return every statement that a request can run. Not at import: compiling all of them takes seconds."""
    return tuple(each for each in statements() if each not in ADMINISTRATIVE)


def test_every_statement_is_restricted_to_one_user() -> None:
    for statement in request_statements():
        assert "user_id" in statement.parameters, statement.sql
        assert list(faults(statement.expression)) == [], statement.sql


def test_no_part_of_the_api_imports_an_administrative_statement() -> None:
    importers = {path.name for path in ROOT.rglob("*.py") if ".idempotency_purge import" in path.read_text()}
    assert importers == {"cli.py", "shards.py"}  # the command, and the same for several databases
    importers = {path.name for path in ROOT.rglob("*.py") if ".postgres.shards import" in path.read_text()}
    assert importers == {"cli.py"}


def test_statements_that_are_compiled_on_first_use_are_discovered() -> None:
    names = [statement.name for statement in request_statements()]
    # One per sort key, order and subset of the conditions completed, filters, after and null_keys.
    assert names.count("search tasks (window)") == len(SORT_KEYS) * 2 * 2**4
    assert names.count("select tasks") == len(SORT_KEYS) * 2 * 2**4
    assert {"insert task", "insert user", "delete idempotency keys"} <= set(names)


OTHER: BindParameter[Any] = BindParameter("someone", required=True)
IS_USER = TASKS.c.user_id == BindParameter("user_id", required=True)


@pytest.mark.parametrize(
    "expression",
    [
        select(TASKS),
        select(TASKS).where(TASKS.c.id == 1),
        select(TASKS).where(TASKS.c.user_id == OTHER),
        select(TASKS).where(TASKS.c.user_id != BindParameter("user_id", required=True)),
        select(TASKS).where(IS_USER | (TASKS.c.id == 1)),
        select(TASKS).where(~IS_USER),
        select(TASKS)
        .where(TASKS.c.id.in_(select(TASKS.alias().c.id)), IS_USER)
        .where(true())
        .union(select(TASKS)),
        select(select(TASKS).subquery().c.id).where(BindParameter("user_id", required=True) == "x"),
        update(TASKS).values(title="x"),
        update(TASKS).where(IS_USER | (TASKS.c.id == 1)).values(title="x"),
        delete(TASKS).where(TASKS.c.id == 1),
        insert(TASKS).values(user_id=OTHER, title="x"),
        insert(TASKS).values(title="x"),
        insert(TASKS).from_select(["user_id", "title"], select(OTHER, TASKS.c.title).where(IS_USER)),
    ],
    ids=str,
)
def test_a_statement_without_the_user_is_detected(expression: ClauseElement) -> None:
    assert list(faults(expression))


def test_statements_are_created_only_where_they_are_discovered() -> None:
    """Statements are created at the top level of a module, or in a top-level function that returns one."""
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        functions = [
            each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        allowed = {
            id(inner)
            for function in tree.body
            if isinstance(function, ast.FunctionDef)
            and ast.unparse(function.returns or ast.Constant(0)) == "CompiledStatement"
            for inner in ast.walk(function)
        }
        for function in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "CompiledStatement":
                    assert id(node) in allowed, f"{path}:{node.lineno}"


def test_no_sql_text_names_the_tables_of_users() -> None:
    names = "|".join({table.name for table in SCHEMA.tables} | {USERS.name})
    tables = re.compile(rf'\b(FROM|INTO|UPDATE|JOIN|TABLE)\s+"?({names})\b', re.IGNORECASE)
    for path in ROOT.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not tables.search(node.value), f"{path}:{node.lineno}"
