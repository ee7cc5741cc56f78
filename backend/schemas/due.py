"""Due dates: one value that is a date or a date-time, as the DUE property of iCalendar (RFC 5545 §3.8.2.3)."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema

__all__ = ["Due", "DueValue", "due_bounds", "due_key", "format_due", "parse_due"]

type DueValue = date | datetime
"""A date, or a date-time in UTC."""

_FORMAT: Final = re.compile(
    # full-date and date-time of RFC 3339 §5.6, in upper case and without leap seconds
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?"
)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_DAY: Final = time(23, 59, 59, 999999, tzinfo=UTC)


def parse_due(text: object) -> DueValue:
    """Parse a date (`2026-12-01`) or a date-time with an offset (`2026-12-01T09:00:00+01:00`).

    Raises:
        ValueError: It is neither, it does not exist, or it is not in the years 1970 to 9999 of UTC.
    """
    match = _FORMAT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            "must be a date such as 2026-12-01, or a date-time such as 2026-12-01T09:00:00+01:00"
        )
    try:
        if match[0] == match[1]:
            return _in_range(date.fromisoformat(match[0]))
        return _in_range(datetime.fromisoformat(match[0]).astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError("must exist, in the years 1970 to 9999 (UTC)") from None


def format_due(value: DueValue) -> str:
    """Return the text that `parse_due` parses."""
    return value.isoformat().replace("+00:00", "Z")


def due_key(value: DueValue) -> datetime:
    """Return the instant by which a value is sorted: for a date the last microsecond of the day in UTC."""
    return value if isinstance(value, datetime) else datetime.combine(value, _END_OF_DAY)


def due_bounds(value: DueValue) -> tuple[datetime, datetime]:
    """Return the sort keys that tasks due before, and due after, a value are compared with."""
    if isinstance(value, datetime):
        return value, value
    return datetime.combine(value, time.min, UTC), due_key(value)


def _in_range(value: DueValue) -> DueValue:
    if due_key(value) < _FIRST:
        raise ValueError
    return value


Due = Annotated[
    Any,
    PlainValidator(parse_due),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
            "description": "A date, or a date-time with an offset; years 1970 to 9999.",
            "examples": ["2026-12-01", "2026-12-01T09:00:00+01:00"],
        }
    ),
]
"""A due date in a request."""
