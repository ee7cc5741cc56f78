"""Cursors: a position in one list, opaque to the client and refused when it was changed."""

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta
from typing import assert_never

import msgspec

from backend.platform.errors import InvalidInput, InvalidValue
from backend.schemas.task import TaskRow
from backend.schemas.task_page import Position, Sort, TaskQuery

__all__ = ["decode_cursor", "encode_cursor"]

_CHECK_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_cursor(task: TaskRow, user_id: str, query: TaskQuery) -> str:
    """Return the cursor of the page that begins behind `task`."""
    payload = msgspec.msgpack.encode([_sort_key(task, query.sort), task.id])
    return base64.urlsafe_b64encode(_check(payload, user_id, query) + payload).rstrip(b"=").decode()


def decode_cursor(cursor: str, user_id: str, query: TaskQuery) -> Position:
    """Return where the cursor points.

    The check is no signature: whoever forges one merely names a place in a list of their own.
    It catches a cursor that was damaged, or belongs to another user or another list.

    Raises:
        InvalidInput: The cursor is not one that this list gave.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        check, payload = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        key, task_id = msgspec.msgpack.decode(payload, type=tuple[str | int, int])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise _refused() from None
    # The last character has unused bits: only the spelling that we gave is good.
    canonical = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    if canonical != cursor or check != _check(payload, user_id, query):
        raise _refused()
    return Position(key, task_id)


def _refused() -> InvalidInput:
    return InvalidInput(
        InvalidValue(
            "/query/cursor",
            "is not a cursor of this list; use next_cursor with the same status, search, sort and order, "
            "or leave it out to begin again",
        )
    )


def _sort_key(task: TaskRow, sort: Sort) -> str | int:
    match sort:
        case "title":
            return task.title
        case "created_at":
            return _microseconds(task.created_at)
        case "updated_at":
            return _microseconds(task.updated_at)
        case _:
            assert_never(sort)


def _microseconds(time: datetime) -> int:
    # Not timestamp(): a float does not hold the microseconds of every year.
    return (time - _EPOCH) // timedelta(microseconds=1)


def _check(payload: bytes, user_id: str, query: TaskQuery) -> bytes:
    scope = msgspec.msgpack.encode([user_id, query.status, query.search, query.sort, query.order])
    return hashlib.blake2b(scope + payload, digest_size=_CHECK_BYTES).digest()
