"""Conditional requests: versions as `ETag`, and `If-Match` and `If-None-Match` as versions (RFC 9110 §13)."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from starlette.types import Scope

from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidInput, InvalidValue
from backend.platform.http.request_headers import header_values

__all__ = ["ENTITY_TAGS_PATTERN", "etag", "parse_if_match", "parse_preconditions"]

ENTITY_TAGS_PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'
"""For OpenAPI: `*` or a list of entity tags."""

_EXPECTED: Final = 'must be * or entity tags in quotes, such as "v3"'

_UNCONDITIONAL: Final = Precondition()

_TAG_LIST = re.compile(
    r'[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*)*'
)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_VERSION = re.compile(r"v([1-9][0-9]{0,17})")


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"v{version}"'


def parse_preconditions(scope: Scope) -> Precondition:
    """Return the precondition of a request.

    A tag in another format names no version.

    Raises:
        InvalidInput: A header is neither `*` nor a list of entity tags.
    """
    if_match = _header_tags(scope, "if-match")
    if_none_match = _header_tags(scope, "if-none-match")
    if if_match is if_none_match is None:
        return _UNCONDITIONAL
    return Precondition(
        if_match=_strong_versions(if_match),
        if_none_match=None
        if if_none_match is None or if_none_match == "*"
        else _versions(tag for _, tag in if_none_match),
        if_none_match_any=if_none_match == "*",
    )


def parse_if_match(value: object) -> Precondition:
    """Return the precondition of an `If-Match` outside of a header.

    Raises:
        ValueError: It is neither `*` nor a list of entity tags.
    """
    if not isinstance(value, str):
        raise ValueError(_EXPECTED)  # noqa: TRY004 - Pydantic reports a ValueError
    return Precondition(if_match=_strong_versions(_tags(value)))


def _header_tags(scope: Scope, name: str) -> list[tuple[str, str]] | Literal["*"] | None:
    lines = header_values(scope, name.encode())
    try:
        return _tags(", ".join(lines)) if lines else None
    except ValueError as error:
        raise InvalidInput(InvalidValue(f"/header/{name}", str(error))) from None


def _tags(text: str) -> list[tuple[str, str]] | Literal["*"]:
    value = text.strip()
    if value == "*":
        return "*"
    if not _TAG_LIST.fullmatch(value):
        raise ValueError(_EXPECTED)
    return _TAG.findall(value)


def _strong_versions(tags: list[tuple[str, str]] | Literal["*"] | None) -> tuple[int, ...] | None:
    # If-Match compares strongly: a weak tag never matches (RFC 9110 §8.8.3.2).
    return None if tags is None or tags == "*" else _versions(tag for weak, tag in tags if not weak)


def _versions(tags: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(match[1]) for match in map(_VERSION.fullmatch, tags) if match)
