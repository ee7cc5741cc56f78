"""Entity tags: formatting, and parsing of `If-Match` and `If-None-Match` (RFC 9110 §13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidInput
from backend.platform.http.conditional_requests import etag, parse_preconditions


def scope(*lines: tuple[str, str]) -> Scope:
    return {"headers": [(name.encode(), value.encode("latin-1")) for name, value in lines]}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], Precondition()),
        ([("if-match", "*")], Precondition()),
        ([("if-match", '"v3"')], Precondition(if_match=(3,))),
        ([("if-match", '\t"v3" ,"v4","" ')], Precondition(if_match=(3, 4))),
        ([("if-match", '"v3"'), ("if-match", '"v5"')], Precondition(if_match=(3, 5))),
        # A weak tag never matches in a strong comparison. An unknown tag is not a version.
        ([("if-match", 'W/"v3"')], Precondition(if_match=())),
        ([("if-match", '"v0", "v03", "V3", "v", "3", "ü", "a,b"')], Precondition(if_match=())),
        ([("if-match", f'"v{"9" * 19}"')], Precondition(if_match=())),
        ([("if-none-match", 'W/"v3", "v4"')], Precondition(if_none_match=(3, 4))),
        ([("if-none-match", "*")], Precondition(if_none_match_any=True)),
        ([("if-match", '"v1"'), ("if-none-match", '"v2"')], Precondition(if_match=(1,), if_none_match=(2,))),
    ],
)
def test_headers_are_parsed_to_versions(lines: list[tuple[str, str]], expected: Precondition) -> None:
    assert parse_preconditions(scope(*lines)) == expected


@pytest.mark.parametrize(
    "value", ["", " ", ",", "v3", '"v3', 'v3"', '"a" "b"', '"a",', 'w/"a"', "*, *", '"a", *']
)
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
def test_malformed_tags_are_rejected(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_preconditions(scope((name, value)))
    assert raised.value.errors[0].pointer == f"/header/{name}"


@given(st.integers(1, 10**18 - 1))
def test_etag_of_a_version_is_parsed_back(version: int) -> None:
    assert parse_preconditions(scope(("if-match", etag(version)))).if_match == (version,)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_text_is_parsed_or_rejected(value: str) -> None:
    try:
        found = parse_preconditions(scope(("if-match", value)))
    except InvalidInput:
        return
    assert found.is_unconditional or found.if_match is not None


def test_long_list_is_parsed_in_linear_time() -> None:
    # A pattern with backtracking at each position would take minutes.
    with pytest.raises(InvalidInput):
        parse_preconditions(scope(("if-match", '"a", ' * 20_000 + '"')))


@pytest.mark.parametrize(
    ("given_precondition", "fails_if_match", "excludes"),
    [
        (Precondition(), False, False),
        (Precondition(if_match=(3, 4)), False, False),
        (Precondition(if_match=(4,)), True, False),
        (Precondition(if_match=()), True, False),
        (Precondition(if_none_match=(3,)), False, True),
        (Precondition(if_none_match=(4,)), False, False),
        (Precondition(if_none_match_any=True), False, True),
    ],
)
def test_precondition_on_version_three(
    given_precondition: Precondition, *, fails_if_match: bool, excludes: bool
) -> None:
    assert given_precondition.fails_if_match(3) is fails_if_match
    assert given_precondition.excludes(3) is excludes
    assert given_precondition.is_unconditional is (given_precondition == Precondition())
