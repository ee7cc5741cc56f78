"""Every statement carries the user. Statements are discovered, so that a new one is checked without being listed here."""

import ast
import inspect
import pkgutil
import re
import runpy
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import pytest
from sqlalchemy import Column, Delete, Insert, Select, Table, Update, delete, insert, select, true, update
from sqlalchemy.sql import ClauseElement, operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

import backend.db
from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres import statement as statement_module
from backend.platform.postgres.statement import Statement

ROOT = Path(backend.db.__path__[0]).parent


class Made(NamedTuple):
    """A statement and the expression that it was compiled from."""

    name: str
    expression: ClauseElement
    parameters: frozenset[str]


def made_by(module: str) -> list[Made]:
    """Run a module's code again and return every statement that it makes, at once or by a function."""
    made: list[Made] = []

    class Recorded(Statement):
        def __init__(self, name: str, expression: ClauseElement) -> None:
            super().__init__(name, expression)
            made.append(Made(name, expression, self.parameters))

    original = statement_module.Statement
    statement_module.Statement = Recorded  # type: ignore[misc]  # modules import it by this name
    try:
        names = runpy.run_path(str(ROOT / "db" / f"{module.rpartition('.')[2]}.py"), run_name=module)
        for value in list(names.values()):
            if callable(value) and getattr(value, "__module__", None) == module:
                call_with_all_arguments(value)
    finally:
        statement_module.Statement = original  # type: ignore[misc]
    return made


def call_with_all_arguments(function: Callable[..., Any]) -> None:
    """Call a function that returns a statement with each combination of its arguments."""
    hints = get_type_hints(inspect.unwrap(function)) if not inspect.isclass(function) else {}
    result = hints.pop("return", None)
    if not (inspect.isclass(result) and issubclass(result, Statement)):
        return
    choices = []
    for name, hint in hints.items():
        assert hint is bool or get_origin(hint) is Literal, f"{function}: {name} has no finite set of values"
        choices.append((False, True) if hint is bool else get_args(hint))
    for values in product(*choices):
        function(**dict(zip(hints, values, strict=True)))


def all_statements() -> Iterator[Made]:
    for module in pkgutil.iter_modules(backend.db.__path__, "backend.db."):
        source = Path(backend.db.__path__[0], module.name.rpartition(".")[2] + ".py")
        if source.exists() and "Statement(" in source.read_text() and module.name != Statement.__module__:
            yield from made_by(module.name)


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
    """Tell whether a WHERE has `column = :user_id` in each of its alternatives."""
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
                # That an e-mail address is taken is the one thing to know of others.
                if column is not None and table is not USERS and not restricts(part.whereclause, column):
                    yield f"reads {table} of other users"


STATEMENTS = list(all_statements())


@pytest.mark.parametrize("made", STATEMENTS, ids=lambda made: made.name)
def test_every_statement_is_of_one_user(made: Made) -> None:
    assert "user_id" in made.parameters
    assert list(faults(made.expression)) == []


def test_statements_that_are_made_on_first_use_are_found() -> None:
    names = [made.name for made in STATEMENTS]
    # Three sorts, two orders, and two of each: filtered, continued, searching.
    assert names.count("select near tasks") == 3 * 2 * 2 * 2
    assert names.count("select tasks") == 3 * 2 * 2 * 2 * 2
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


def test_statements_are_made_where_they_are_found() -> None:
    """At the top level of a module of `backend.db`, or in a function there that returns a statement."""
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        functions = [
            each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        allowed = {
            id(inner)
            for function in tree.body
            if isinstance(function, ast.FunctionDef)
            and ast.unparse(function.returns or ast.Constant(0)) == "Statement"
            for inner in ast.walk(function)
        }
        for function in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Statement"):
                    assert id(node) in allowed, f"{path}:{node.lineno}"


def test_no_sql_text_names_the_tables_of_users() -> None:
    tables = re.compile(
        r'\b(FROM|INTO|UPDATE|JOIN|TABLE)\s+"?(tasks|users|idempotency_keys)\b', re.IGNORECASE
    )
    for path in ROOT.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not tables.search(node.value), f"{path}:{node.lineno}"
