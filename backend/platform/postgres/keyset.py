"""Keyset pagination: the sort keys of a list, and the SQL that orders and continues it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, DateTime, FromClause, Text, cast, func, tuple_

from backend.platform.postgres.list_query import Keyset, Order
from backend.platform.postgres.statement import parameter

__all__ = ["OPTIONAL_TIME_KEY", "TEXT_KEY", "TIME_KEY", "SortKey", "directed", "is_after", "keyset_values"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SortKey:
    """How a list is sorted by a column. A list has a table of these, by column name.

    Attributes:
        default_order: The order where a request names none.
        encode: Converts a value of the column for the cursor.
        decode: Converts it back. Raises TypeError, ValueError or OverflowError for other values.
        expression: Returns the expression that index, ORDER BY and keyset condition use, from the column or from
            a parameter of its type.
        nullable: Whether the expression can be NULL. A list with the rows without a key last, in both orders, is
            read by two statements, the second with `null_keys`: one index cannot have NULLs last in both directions.
        parameter_type: SQLAlchemy type of the parameter, which `expression` converts. None is that of the column.
    """

    default_order: Order
    encode: Callable[[Any], str | int | None]
    decode: Callable[[Any], Any]
    expression: Callable[[ColumnElement[Any]], ColumnElement[Any]]
    nullable: bool = False
    parameter_type: Any = None


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


def _optional_microseconds(time: datetime | None) -> int | None:
    return None if time is None else _microseconds(time)


def _iso_text(microseconds: Any) -> str | None:
    return None if microseconds is None else _time(microseconds).isoformat()


OPTIONAL_TIME_KEY: Final = SortKey(
    "asc",
    _optional_microseconds,
    _iso_text,
    # PostgreSQL parses the text: asyncpg sends the last microsecond of the year 9999 as `infinity`.
    lambda column: cast(column, DateTime(timezone=True)),
    nullable=True,
    parameter_type=Text(),
)
"""Earliest first, then the rows without a time; for times up to the year 9999."""


def is_after(
    table: FromClause, sort: str, key: SortKey, order: Order, *, null_keys: bool = False
) -> ColumnElement[bool]:
    """Return the condition that a row comes after the keyset in the parameters (see `keyset_values`).

    Args:
        table: The table, or a subquery with its columns.
        sort: Column name of the sort key.
        key: The sort key.
        order: Its direction.
        null_keys: Whether the rows have no key, so that only their ids are compared.
    """
    column, id_ = table.c[sort], table.c.id
    after_id = parameter("after_id", id_.type)
    if null_keys:
        return id_ > after_id if order == "asc" else id_ < after_id
    # A row comparison drops rows without a key.
    row = tuple_(key.expression(column), id_)
    after = tuple_(key.expression(parameter("after_key", key.parameter_type or column.type)), after_id)
    return row > after if order == "asc" else row < after


def keyset_values(after: Keyset | None) -> dict[str, Any]:
    """Return the parameters of `is_after`."""
    if after is None:
        return {}
    return {"after_id": after.id} if after.key is None else {"after_key": after.key, "after_id": after.id}


def directed(order: Order, *expressions: Any) -> list[Any]:
    """Return the expressions of ORDER BY in one direction."""
    return [each.asc() if order == "asc" else each.desc() for each in expressions]
