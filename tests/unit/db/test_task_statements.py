"""The SQL of tasks: every statement has the owner in its WHERE, and writes are conditional."""

import re
from itertools import chain, combinations, product
from typing import get_args

import pytest

from backend.db import task_statements as tasks
from backend.db.task_statements import Condition, search_window, select_page
from backend.models.task import TaskRow
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task_page import Order, Sort

WRITES = [tasks.UPDATE, tasks.TOGGLE_COMPLETED, tasks.DELETE]
CONDITIONS: list[Condition] = ["completed", "search", "after"]
SUBSETS = [
    frozenset(subset)
    for subset in chain.from_iterable(combinations(CONDITIONS, count) for count in range(len(CONDITIONS) + 1))
]
PAGES = [
    build(sort, order, conditions)
    for sort, order, conditions in product(get_args(Sort), get_args(Order), SUBSETS)
    for build in ([select_page, search_window] if "search" in conditions else [select_page])
]


@pytest.mark.parametrize("statement", [tasks.GET, tasks.VERSION, *WRITES, *PAGES], ids=lambda each: each.name)
def test_statement_is_restricted_to_one_owner(statement: CompiledStatement) -> None:
    assert "user_id" in statement.parameters
    assert re.search(r"WHERE tasks\.user_id = \$\d+", statement.sql), statement.sql
    assert statement.sql.count("FROM tasks") <= 1, "no second scan without the owner"


@pytest.mark.parametrize("statement", WRITES, ids=lambda each: each.name)
def test_write_is_conditional_and_returns_the_row(statement: CompiledStatement) -> None:
    assert {"if_match", "if_none_match", "if_none_match_any"} <= statement.parameters
    assert "RETURNING tasks.id" in statement.sql


@pytest.mark.parametrize("statement", [tasks.UPDATE, tasks.TOGGLE_COMPLETED], ids=lambda each: each.name)
def test_change_increases_the_version_and_touches_the_time(statement: CompiledStatement) -> None:
    assert "updated_at=now()" in statement.sql
    assert re.search(r"version=\(?tasks\.version \+ ", statement.sql)


@pytest.mark.parametrize(("sort", "order"), list(product(get_args(Sort), get_args(Order))))
def test_page_is_ordered_and_continued_by_the_same_key(sort: Sort, order: Order) -> None:
    sql = " ".join(select_page(sort, order, frozenset({"after"})).sql.split())
    key = {"title": 'lower(tasks.title) COLLATE "C"'}.get(sort, f"tasks.{sort}")
    direction, comparison = {"asc": ("ASC", ">"), "desc": ("DESC", "<")}[order]
    assert f"ORDER BY {key} {direction}, tasks.id {direction}" in sql
    assert f"tasks.id) {comparison} (" in sql


@pytest.mark.parametrize("conditions", SUBSETS, ids=lambda each: "+".join(sorted(each)) or "none")
def test_page_has_exactly_the_parameters_of_its_conditions(conditions: frozenset[Condition]) -> None:
    names = {"user_id", "row_count"} | (conditions - {"after"})
    if "after" in conditions:
        names |= {"after_key", "after_id"}
    assert select_page("title", "asc", conditions).parameters == names
    if "search" in conditions:
        assert search_window("title", "asc", conditions).parameters == names


def test_statement_of_a_page_is_compiled_once() -> None:
    first = select_page("title", "asc", frozenset({"after", "completed"}))
    assert select_page("title", "asc", frozenset({"completed", "after"})) is first


def test_columns_are_those_of_the_record() -> None:
    selected = tasks.GET.sql.partition("FROM")[0].removeprefix("SELECT ")
    columns = [column.strip().removeprefix("tasks.") for column in selected.split(",")]
    assert columns == [*TaskRow.__struct_fields__, "version"]
