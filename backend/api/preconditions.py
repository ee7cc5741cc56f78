"""Entity tags: from a task's version to `ETag`, and from `If-Match` and `If-None-Match` to versions (RFC 9110 §13)."""

import re
from collections.abc import Iterable
from typing import Literal

from starlette.datastructures import Headers

from backend.errors import InvalidInput, InvalidValue
from backend.schemas.precondition import Precondition

__all__ = ["etag", "precondition"]

_TAG_LIST = re.compile(
    r'[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*)*'
)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_VERSION = re.compile(r"v([1-9][0-9]{0,17})")


def etag(version: int) -> str:
    """Return the strong entity tag of a task at this version."""
    return f'"v{version}"'


def precondition(headers: Headers) -> Precondition:
    """Read what the request asks of the task's version.

    A tag that is none of ours simply names no version.

    Raises:
        InvalidInput: A header is neither `*` nor a list of entity tags.
    """
    required = _tags(headers, "if-match")
    excluded = _tags(headers, "if-none-match")
    return Precondition(
        # If-Match compares strongly: a weak tag never matches (RFC 9110 §8.8.3.2).
        required=None
        if required is None or required == "*"
        else _versions(tag for weak, tag in required if not weak),
        excluded=None if excluded is None or excluded == "*" else _versions(tag for _, tag in excluded),
        excludes_all=excluded == "*",
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
