"""Tags are trimmed, normalized and unique ignoring case."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from backend.schemas.tags import Tag, Tags

TAG: TypeAdapter[str] = TypeAdapter(Tag)
TAGS: TypeAdapter[list[str]] = TypeAdapter(Tags)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(texts)
def test_a_valid_tag_is_in_its_canonical_form(text: str) -> None:
    try:
        tag = TAG.validate_python(text)
    except ValidationError:
        return
    assert 1 <= len(tag) <= 50
    assert tag == tag.strip() == unicodedata.normalize("NFC", tag)
    assert TAG.validate_python(tag) == tag


@given(st.lists(texts, max_size=5))
def test_valid_tags_keep_their_order_and_differ_in_more_than_case(tags: list[str]) -> None:
    try:
        valid = TAGS.validate_python(tags)
    except ValidationError:
        return
    assert len({tag.casefold() for tag in valid}) == len(valid)
    assert valid == [TAG.validate_python(tag) for tag in tags]


@given(texts)
def test_a_tag_twice_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        TAGS.validate_python(
            [text, text.swapcase() if text.swapcase().casefold() == text.casefold() else text]
        )
