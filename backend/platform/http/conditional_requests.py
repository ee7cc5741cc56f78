"""Conditional requests: versions as `ETag`, and `If-Match` and `If-None-Match` as versions (RFC 9110 §13)."""

import re
from collections.abc import Iterable
from typing import Literal

from starlette.datastructures import Headers

from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidInput, InvalidValue

__all__ = ["etag", "parse_preconditions"]

_TAG_LIST = re.compile(
    r'[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*)*'
)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_VERSION = re.compile(r"v([1-9][0-9]{0,17})")


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"v{version}"'


def parse_preconditions(headers: Headers) -> Precondition:
    """Return the precondition of a request.

    A tag in another format names no version.

    Raises:
        InvalidInput: A header is neither `*` nor a list of entity tags.
    """
    if_match = _tags(headers, "if-match")
    if_none_match = _tags(headers, "if-none-match")
    return Precondition(
        # If-Match compares strongly: a weak tag never matches (RFC 9110 §8.8.3.2).
        if_match=None
        if if_match is None or if_match == "*"
        else _versions(tag for weak, tag in if_match if not weak),
        if_none_match=None
        if if_none_match is None or if_none_match == "*"
        else _versions(tag for _, tag in if_none_match),
        if_none_match_any=if_none_match == "*",
    )


def _tags(headers: Headers, name: str) -> list[tuple[str, str]] | Literal["*"] | None:
    lines = headers.getlist(name)
    if not lines:
        return None
    value = ", ".join(lines).strip()
    if value == "*":
        return "*"
    if not _TAG_LIST.fullmatch(value):
        raise InvalidInput(
            InvalidValue(f"/header/{name}", 'must be * or entity tags in quotes, such as "v3"')
        )
    return _TAG.findall(value)


def _versions(tags: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(match[1]) for match in map(_VERSION.fullmatch, tags) if match)
