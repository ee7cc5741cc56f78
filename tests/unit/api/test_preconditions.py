"""Entity tags: what we give, and what `If-Match` and `If-None-Match` say (RFC 9110 §13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from backend.api.preconditions import etag, precondition
from backend.errors import InvalidInput
from backend.schemas.precondition import Precondition


def headers(*lines: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in lines])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], Precondition()),
        ([("if-match", "*")], Precondition()),
        ([("if-match", '"v3"')], Precondition(required=(3,))),
        ([("if-match", '\t"v3" ,"v4","" ')], Precondition(required=(3, 4))),
        ([("if-match", '"v3"'), ("if-match", '"v5"')], Precondition(required=(3, 5))),
        # A weak tag never matches strongly, a foreign one names no version.
        ([("if-match", 'W/"v3"')], Precondition(required=())),
        ([("if-match", '"v0", "v03", "V3", "v", "3", "ü", "a,b"')], Precondition(required=())),
        ([("if-match", f'"v{"9" * 19}"')], Precondition(required=())),
        ([("if-none-match", 'W/"v3", "v4"')], Precondition(excluded=(3, 4))),
        ([("if-none-match", "*")], Precondition(excludes_all=True)),
        ([("if-match", '"v1"'), ("if-none-match", '"v2"')], Precondition(required=(1,), excluded=(2,))),
    ],
)
def test_headers_say_which_versions(lines: list[tuple[str, str]], expected: Precondition) -> None:
    assert precondition(headers(*lines)) == expected


@pytest.mark.parametrize(
    "value", ["", " ", ",", "v3", '"v3', 'v3"', '"a" "b"', '"a",', 'w/"a"', "*, *", '"a", *']
)
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
def test_malformed_tags_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        precondition(headers((name, value)))
    assert refusal.value.errors[0].pointer == f"/header/{name}"


@given(st.integers(1, 10**18 - 1))
def test_our_own_tag_is_understood(version: int) -> None:
    assert precondition(headers(("if-match", etag(version)))).required == (version,)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_text_is_understood_or_refused(value: str) -> None:
    try:
        found = precondition(headers(("if-match", value)))
    except InvalidInput:
        return
    assert found.is_empty or found.required is not None


def test_long_list_takes_no_long_time() -> None:
    # A pattern that tries again from each place would take minutes here.
    with pytest.raises(InvalidInput):
        precondition(headers(("if-match", '"a", ' * 20_000 + '"')))


@pytest.mark.parametrize(
    ("given_precondition", "requires_other", "excludes"),
    [
        (Precondition(), False, False),
        (Precondition(required=(3, 4)), False, False),
        (Precondition(required=(4,)), True, False),
        (Precondition(required=()), True, False),
        (Precondition(excluded=(3,)), False, True),
        (Precondition(excluded=(4,)), False, False),
        (Precondition(excludes_all=True), False, True),
    ],
)
def test_precondition_on_version_three(
    given_precondition: Precondition, *, requires_other: bool, excludes: bool
) -> None:
    assert given_precondition.requires_other(3) is requires_other
    assert given_precondition.excludes(3) is excludes
    assert given_precondition.is_empty is (given_precondition == Precondition())
