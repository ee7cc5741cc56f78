"""Keyset pagination: the sort keys of a list, and the SQL that orders and continues it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, tuple_

from backend.platform.postgres.list_query import Keyset, Order
from backend.platform.postgres.statement import parameter

__all__ = ["TEXT_KEY", "TIME_KEY", "SortKey", "directed", "is_after", "keyset_values"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SortKey:
    """How a list is sorted by a column. A list has a table of these, by column name.

    Attributes:
        default_order: The order where a request names none.
        encode: Converts a value of the column for the cursor.
        decode: Converts it back. Raises TypeError, ValueError or OverflowError for other values.
        expression: Returns the expression that index, ORDER BY and keyset condition use, from the column or from
            a parameter of its type. It must not be NULL (use `coalesce`): a row comparison drops NULLs.
    """

    default_order: Order
    encode: Callable[[Any], str | int]
    decode: Callable[[Any], Any]
    expression: Callable[[ColumnElement[Any]], ColumnElement[Any]]


def _microseconds(time: datetime) -> int:
    # Not timestamp(): a float does not represent the microseconds of every year.
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


TIME_KEY: Final = SortKey("desc", _microseconds, _time, lambda column: column)
"""Newest first; the cursor has microseconds since 1970."""

TEXT_KEY: Final = SortKey("asc", _text, _text, lambda column: func.lower(column).collate("C"))
"""Case-insensitive; the collation "C" gives the same order on every server."""


def is_after(table: Table, sort: str, key: SortKey, order: Order) -> ColumnElement[bool]:
    """Return the condition that a row comes after the keyset in the parameters (see `keyset_values`)."""
    column = table.c[sort]
    row = tuple_(key.expression(column), table.c.id)
    after = tuple_(
        key.expression(parameter("after_key", column.type)), parameter("after_id", table.c.id.type)
    )
    return row > after if order == "asc" else row < after


def keyset_values(after: Keyset | None) -> dict[str, Any]:
    """Return the parameters of `is_after`."""
    return {} if after is None else {"after_key": after.key, "after_id": after.id}


def directed(order: Order, *expressions: Any) -> list[Any]:
    """Return the expressions of ORDER BY in one direction."""
    return [each.asc() if order == "asc" else each.desc() for each in expressions]
