"""The SQL of tasks: every statement has the owner in its WHERE, and writes are conditional."""

import re
from collections.abc import Callable
from itertools import chain, combinations, product
from typing import get_args

import pytest

from backend.db import task_statements as tasks
from backend.db.task_bulk_statements import COUNT_TAGS, DELETE_COMPLETED
from backend.db.task_fields import COLUMNS
from backend.db.task_list_statements import FILTER_PARAMETERS, Condition, search_window, select_page
from backend.platform.postgres.statement import CompiledStatement
from backend.schemas.task_page import Order, Sort

WRITES = [tasks.UPDATE, tasks.TOGGLE_COMPLETED, tasks.DELETE]
CONDITIONS: list[Condition] = ["completed", "filters", "after", "null_keys"]
SUBSETS = [
    frozenset(subset)
    for subset in chain.from_iterable(combinations(CONDITIONS, count) for count in range(len(CONDITIONS) + 1))
]


def assert_is_restricted_to_one_owner(statement: CompiledStatement) -> None:
    assert "user_id" in statement.parameters
    restricted = re.findall(
        r"(?:FROM|UPDATE) tasks\b.*?WHERE tasks\.user_id = \$\d+", statement.sql, re.DOTALL
    )
    assert len(restricted) == len(re.findall(r"(?:FROM|UPDATE) tasks\b", statement.sql)), statement.sql


@pytest.mark.parametrize(
    "statement",
    [tasks.GET, tasks.VERSION, *WRITES, COUNT_TAGS, DELETE_COMPLETED],
    ids=lambda each: each.name,
)
def test_statement_is_restricted_to_one_owner(statement: CompiledStatement) -> None:
    assert_is_restricted_to_one_owner(statement)


@pytest.mark.parametrize("build", [select_page, search_window])
@pytest.mark.parametrize("sort", get_args(Sort))
def test_page_is_restricted_to_one_owner(build: Callable[..., CompiledStatement], sort: Sort) -> None:
    for order, conditions in product(get_args(Order), SUBSETS):
        assert_is_restricted_to_one_owner(build(sort, order, conditions))


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
    sql = " ".join(
        re.sub(r"anon_\d+\.", "tasks.", select_page(sort, order, frozenset({"after"})).sql).split()
    )
    key = {
        "title": 'lower(tasks.title) COLLATE "C"',
        "due": "CAST(tasks.due AS TIMESTAMP WITH TIME ZONE)",
    }.get(sort, f"tasks.{sort}")
    direction, comparison = {"asc": ("ASC", ">"), "desc": ("DESC", "<")}[order]
    assert f"ORDER BY {key} {direction}, tasks.id {direction}" in sql
    assert f"({key}, tasks.id) {comparison} (" in sql


@pytest.mark.parametrize("conditions", SUBSETS, ids=lambda each: "+".join(sorted(each)) or "none")
def test_page_has_exactly_the_parameters_of_its_conditions(conditions: frozenset[Condition]) -> None:
    names = {"user_id", "row_count"} | ({"completed"} & conditions)
    if "after" in conditions:  # tasks without a key are compared by their ids alone
        names |= {"after_id"} if "null_keys" in conditions else {"after_key", "after_id"}
    assert search_window("priority", "asc", conditions).parameters == names | FILTER_PARAMETERS.keys()
    if "filters" in conditions:
        names |= FILTER_PARAMETERS.keys()
    assert select_page("priority", "asc", conditions).parameters == names


def test_statement_of_a_page_is_compiled_once() -> None:
    first = select_page("title", "asc", frozenset({"after", "completed"}))
    assert select_page("title", "asc", frozenset({"completed", "after"})) is first


def test_columns_are_those_that_a_row_is_read_from() -> None:
    selected = tasks.GET.sql.partition("FROM")[0].removeprefix("SELECT ")
    columns = [column.strip().removeprefix("tasks.") for column in selected.split(",")]
    assert columns == [*(column.name for column in COLUMNS), "version"]
