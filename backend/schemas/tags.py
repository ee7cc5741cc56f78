"""Tags in requests: trimmed, in Unicode NFC, and unique ignoring case."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

from backend.schemas.limits import TAG_MAX_LENGTH, TAGS_MAX_COUNT

__all__ = ["Tag", "Tags"]


def _normalize(text: str) -> str:
    tag = unicodedata.normalize("NFC", text).strip()
    if "\0" in tag:
        raise ValueError("must not contain the character U+0000")
    if not 1 <= len(tag) <= TAG_MAX_LENGTH:
        raise ValueError(f"must have 1 to {TAG_MAX_LENGTH} characters once trimmed and in Unicode NFC")
    return tag


def _reject_duplicates(tags: list[str]) -> list[str]:
    if len({_fold(tag) for tag in tags}) < len(tags):
        raise ValueError("must not contain a tag twice, also not in another case")
    return tags


def _fold(tag: str) -> str:
    # Canonical caseless matching (Unicode §3.13, D145).
    decomposed = unicodedata.normalize("NFD", tag)
    return unicodedata.normalize("NFD", decomposed.casefold())


Tag = Annotated[
    StrictStr,
    AfterValidator(_normalize),
    Field(description="1 to 50 characters once trimmed and in Unicode NFC.", examples=["home"]),
]
Tags = Annotated[
    list[Tag],
    AfterValidator(_reject_duplicates),
    Field(max_length=TAGS_MAX_COUNT, description="Up to 20, in this order; unique ignoring case."),
]
