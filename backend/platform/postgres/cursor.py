"""Cursors: a keyset encoded for the client, with a checksum over the list that it belongs to."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from backend.platform.errors import InvalidInput, InvalidValue
from backend.platform.postgres.keyset import SortKey
from backend.platform.postgres.list_query import Keyset

__all__ = ["decode_cursor", "encode_cursor"]

_CHECKSUM_BYTES = 8


def encode_cursor(last: Keyset, sort_key: SortKey, user_id: str, scope: Mapping[str, Any]) -> str:
    """Return the cursor of the page after a row.

    Args:
        last: The row, the last of its page.
        sort_key: The sort key of the list.
        user_id: The owner of the list.
        scope: The query parameters that select and order the list.
    """
    payload = msgspec.msgpack.encode([sort_key.encode(last.key), last.id])
    return base64.urlsafe_b64encode(_checksum(payload, user_id, scope) + payload).rstrip(b"=").decode()


def decode_cursor(cursor: str, sort_key: SortKey, user_id: str, scope: Mapping[str, Any]) -> Keyset:
    """Return the keyset of a cursor; the other arguments are those of `encode_cursor`.

    The checksum is no signature: a forged cursor only selects another position in the user's own list. It
    detects a damaged cursor, and one of another user or another list.

    Raises:
        InvalidInput: The cursor is not one of this list.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, payload = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        key, id_ = msgspec.msgpack.decode(payload, type=tuple[str | int | None, int])
        last = Keyset(sort_key.decode(key), id_)
    except (ValueError, TypeError, OverflowError, binascii.Error, msgspec.MsgspecError):
        raise _invalid(scope) from None
    # The last character has unused bits: only one spelling is valid.
    canonical = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    if canonical != cursor or checksum != _checksum(payload, user_id, scope):
        raise _invalid(scope)
    return last


def _invalid(scope: Mapping[str, Any]) -> InvalidInput:
    *names, last = scope
    return InvalidInput(
        InvalidValue(
            "/query/cursor",
            f"is not a cursor of this list; use next_cursor with the same {', '.join(names)} and {last}, "
            "or leave it out to begin again",
        )
    )


def _checksum(payload: bytes, user_id: str, scope: Mapping[str, Any]) -> bytes:
    prefix = msgspec.msgpack.encode([user_id, *scope.values()])
    return hashlib.blake2b(prefix + payload, digest_size=_CHECKSUM_BYTES).digest()
