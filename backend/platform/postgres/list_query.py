"""One page of a list, as a service requests it from a repository."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = ["Keyset", "ListQuery", "Order"]

Order = Literal["asc", "desc"]


class Keyset(msgspec.Struct, frozen=True):
    """The position of one row in an ordered list: the value of the sort column, then `id` for equal values.

    `key` is None for a row without a key, which comes after the rows with one.
    """

    key: Any
    id: int


class ListQuery[Filter: str](msgspec.Struct, frozen=True):
    """One page of a list.

    Attributes:
        filters: The value of each active filter, by name.
        sort: Column name of the sort key.
        order: Its direction.
        after: The last row of the page before; None for the first page.
        limit: Maximum rows.
    """

    filters: Mapping[Filter, Any]
    sort: str
    order: Order
    after: Keyset | None
    limit: int
