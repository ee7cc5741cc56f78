"""What keeps users apart is in the structure: authentication before every route, the owner in every statement."""

from collections.abc import Iterator
from itertools import product
from typing import Any, get_args

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from backend.api.dependencies import owner
from backend.api.middleware.jwt_auth import JwtAuthMiddleware
from backend.api.routers import tasks
from backend.config import Settings
from backend.db import task_statements, user_statements
from backend.db.statement import Statement
from backend.main import create_app
from backend.schemas.task_page import Order, Sort

BOTH = (False, True)


def all_statements() -> Iterator[Statement]:
    for module in (task_statements, user_statements):
        yield from (value for value in vars(module).values() if isinstance(value, Statement))
    for sort, order, filtered, searching, continued in product(
        get_args(Sort), get_args(Order), BOTH, BOTH, BOTH
    ):
        yield task_statements.select_page(
            sort, order, filtered=filtered, searching=searching, continued=continued
        )


def dependencies(dependant: Dependant) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from dependencies(child)


@pytest.mark.parametrize("statement", list(all_statements()), ids=lambda statement: statement.name)
def test_every_statement_carries_the_user(statement: Statement) -> None:
    assert "user_id" in statement.parameters
    if statement.sql.startswith(("SELECT tasks", "UPDATE", "DELETE", "SELECT idem")):
        assert "user_id = $" in statement.sql.partition("WHERE")[2]


@pytest.mark.parametrize("route", tasks.router.routes, ids=lambda route: route.name)
def test_every_task_route_checks_the_owner(route: APIRoute) -> None:
    assert route.path.startswith("/api/{user_id}/")
    assert owner in set(dependencies(route.dependant))


def test_every_path_with_a_user_sits_behind_authentication() -> None:
    app = create_app(Settings.model_construct())
    assert [
        each
        for each in app.user_middleware
        if getattr(each.cls, "__name__", "") == JwtAuthMiddleware.__name__
    ]
    open_paths = [path for path in app.openapi()["paths"] if not path.startswith("/api/")]
    assert not [path for path in open_paths if "{" in path]
