"""One page of a list, as a service requests it from a repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Keyset", "ListQuery", "Order"]

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Keyset:
    """The position of one row in an ordered list: the value of the sort column, then `id` for equal values."""

    key: Any
    id: int


@dataclass(frozen=True, slots=True)
class ListQuery[Filter: str]:
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
