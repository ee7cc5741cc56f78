"""The OpenAPI document is valid and complete, and its examples match their schemas."""

from collections.abc import Iterator
from typing import Any, get_args

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from backend.config import Settings
from backend.main import create_app
from backend.platform.http.dependencies import PreconditionDep
from backend.platform.http.json_body import json_body
from backend.platform.http.middleware.stack import EXPOSED_HEADERS
from tests.support.routes import dependencies, endpoints

APP = create_app(Settings.model_construct())
DOCUMENT = APP.openapi()
OPERATIONS = {
    operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()
}
ROUTES = {each.route.name: each.route for each in endpoints(APP) if each.path.startswith("/api/")}
READS_PRECONDITIONS = {
    name
    for name, route in ROUTES.items()
    if get_args(PreconditionDep)[1].dependency in dependencies(route.dependant)
}
WRITES_A_BODY = {
    name
    for name, route in ROUTES.items()
    if any(each.__qualname__.startswith(json_body.__name__) for each in dependencies(route.dependant))
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True
    )


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if "example" in schema:
            yield name, schema, schema["example"]
        for field, part in schema.get("properties", {}).items():
            for example in part.get("examples", []):
                yield f"{name}.{field}", part, example
    for name in sorted(WRITES_A_BODY):
        content = OPERATIONS[name]["requestBody"]["content"]["application/json"]
        yield name, content["schema"], content["example"]


def test_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


@pytest.mark.parametrize(
    ("schema", "example"), [each[1:] for each in examples()], ids=[e[0] for e in examples()]
)
def test_example_matches_its_schema(schema: dict[str, Any], example: object) -> None:
    validator(schema).validate(example)


def test_documented_operations_are_those_of_the_service() -> None:
    assert set(OPERATIONS) == set(ROUTES)
    assert {"create_task", "replace_task", "update_task"} <= WRITES_A_BODY
    assert {"list_tasks", "create_task"}.isdisjoint(READS_PRECONDITIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_fully_documented(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["security"] == [{"token": []}]
    assert operation["summary"]
    assert operation["description"]
    assert ("requestBody" in operation) == (name in WRITES_A_BODY)
    statuses = set(operation["responses"])
    assert {"401", "403", "422", "503", "504"} <= statuses
    assert ({"408", "413", "415"} <= statuses) == (name in WRITES_A_BODY)
    # The operations of a batch have preconditions of their own.
    assert ({"404", "412"} <= statuses) == (name in READS_PRECONDITIONS | {"batch_tasks"})
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if int(status) >= 400:
            assert answer["content"] == PROBLEM
            assert ("Retry-After" in answer["headers"]) == (status in {"409", "503", "504"})
    for parameter in operation["parameters"]:
        assert parameter["description"], parameter["name"]


def test_every_documented_response_header_may_be_read_by_a_browser() -> None:
    documented = {
        header
        for operation in OPERATIONS.values()
        for answer in operation["responses"].values()
        for header in answer.get("headers", {})
    }
    assert "ETag" in documented
    assert documented <= set(EXPOSED_HEADERS)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ("TaskCreate", {"title": "T", "description": None}, [{}, {"title": ""}, {"title": "T", "x": 1}]),
        ("TaskUpdate", {"description": None}, [{}, {"title": None}, {"completed": None}, {"x": 1}]),
    ],
)
def test_schema_distinguishes_valid_from_invalid_bodies(schema: str, good: object, bad: list[object]) -> None:
    checker = validator({"$ref": f"#/components/schemas/{schema}"})
    assert checker.is_valid(good)
    assert [each for each in bad if checker.is_valid(each)] == []
