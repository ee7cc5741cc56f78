"""JSON bodies: an invalid one is reported with a JSON pointer, before the repository is called."""

import json
from typing import Any

import pytest

from tests.support.asgi import Answer
from tests.support.fakes import FakeRepository, send

TASKS = "/api/alice/tasks"

BODIES: list[tuple[str, bytes, str]] = [
    # what, body, pointer of the first error
    ("no body", b"", "/body"),
    ("malformed JSON", b'{"title": ', "/body"),
    ("trailing comma", b'{"title": "T",}', "/body"),
    ("two values", b'{"title": "T"} {}', "/body"),
    ("array", b'["T"]', "/body"),
    ("text", b'"T"', "/body"),
    ("number", b"1", "/body"),
    ("null", b"null", "/body"),
    ("100,000 brackets", b"[" * 100_000, "/body"),
    ("deep object", b'{"a":' * 5000 + b"1" + b"}" * 5000, "/body"),
    ("5,000 digits", b'{"title": ' + b"9" * 5000 + b"}", "/body"),
    ("invalid UTF-8", b'{"title": "\xff"}', "/body"),
    ("byte order mark", b'\xef\xbb\xbf{"title": "T"}', "/body"),
    ("UTF-16", '{"title": "T"}'.encode("utf-16"), "/body"),
    ("lone surrogate", b'{"title": "\\ud800"}', "/body"),
    ("lone surrogate as key", b'{"\\udfff": 1, "title": "T"}', "/body"),
    ("NaN", b'{"title": NaN}', "/body/title"),
    ("Infinity", b'{"title": -Infinity}', "/body/title"),
    ("1e999", b'{"title": 1e999}', "/body/title"),
    ("NUL in title", b'{"title": "a\\u0000b"}', "/body/title"),
    ("NUL in description", b'{"title": "T", "description": "\\u0000"}', "/body/description"),
    ("empty title", b'{"title": ""}', "/body/title"),
    ("blank title", '{"title": " \t\u00a0\u2003"}'.encode().replace(b"\t", b"\\t"), "/body/title"),
    ("201 characters", json.dumps({"title": "x" * 201}).encode(), "/body/title"),
    (
        "10,001 characters",
        json.dumps({"title": "T", "description": "x" * 10_001}).encode(),
        "/body/description",
    ),
    ("number as title", b'{"title": 1}', "/body/title"),
    ("null as title", b'{"title": null}', "/body/title"),
    ("list as description", b'{"title": "T", "description": []}', "/body/description"),
    ("text as completed", b'{"title": "T", "completed": "true"}', "/body/completed"),
    ("number as completed", b'{"title": "T", "completed": 1}', "/body/completed"),
    ("null as completed", b'{"title": "T", "completed": null}', "/body/completed"),
    ("unknown field", b'{"title": "T", "user_id": "bob"}', "/body/user_id"),
    ("unknown field to escape", b'{"title": "T", "a/b~c": 1}', "/body/a~1b~0c"),
]


async def send_body(method: str, body: bytes) -> Answer:
    """Send a body to the route of a method; a rejected one must not reach the repository."""
    repository = FakeRepository()
    answer = await send(repository, method, TASKS if method == "POST" else f"{TASKS}/1", body=body)
    assert (answer.status == 422) == (repository.calls == [])
    return answer


def errors_of(answer: Answer) -> list[dict[str, Any]]:
    assert (answer.status, answer.header("content-type")) == (422, "application/problem+json")
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(("body", "pointer"), [each[1:] for each in BODIES], ids=[each[0] for each in BODIES])
async def test_invalid_body_is_reported_with_its_pointer(method: str, body: bytes, pointer: str) -> None:
    first = errors_of(await send_body(method, body))[0]
    assert first["pointer"] == pointer
    assert first["detail"]


async def test_missing_title_is_reported() -> None:
    expected = {"pointer": "/body/title", "detail": "Field required"}
    assert errors_of(await send_body("POST", b"{}")) == [expected]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_update_without_a_field_is_reported(method: str) -> None:
    (error,) = errors_of(await send_body(method, b"{}"))
    assert error["pointer"] == "/body"
    assert error["detail"].startswith("must have at least one of title, description, completed")


async def test_all_errors_of_a_body_are_reported_together() -> None:
    errors = errors_of(await send_body("POST", b'{"title": "", "description": 1, "x": 1}'))
    assert [error["pointer"] for error in errors] == ["/body/title", "/body/description", "/body/x"]


async def test_errors_of_many_unknown_fields_are_limited() -> None:
    body = json.dumps({f"f{number}": 1 for number in range(50_000)}).encode()
    assert len(errors_of(await send_body("POST", body))) == 20


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ],
)
async def test_other_content_types_are_rejected(content_type: str) -> None:
    repository = FakeRepository()
    answer = await send(
        repository, "POST", TASKS, headers={"Content-Type": content_type}, body=b'{"title": "T"}'
    )
    assert (answer.status, answer.header("content-type")) == (415, "application/problem+json")
    assert repository.calls == []


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
)
async def test_json_media_type_variants_are_accepted(content_type: str) -> None:
    answer = await send(
        FakeRepository(), "POST", TASKS, headers={"Content-Type": content_type}, body=b'{"title": "T"}'
    )
    assert answer.status == 201
