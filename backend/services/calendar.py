"""Tasks as an iCalendar file (RFC 5545)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from backend.models.task import TaskRow
from backend.platform.service_name import SERVICE_NAME
from backend.schemas.due import parse_due
from backend.schemas.limits import Priority

if TYPE_CHECKING:
    from icalendar import Todo

__all__ = ["MEDIA_TYPE", "calendar_version", "encode_calendar"]

MEDIA_TYPE: Final = "text/calendar; charset=utf-8"

_FORMAT: Final = 1
"""Part of the version: a release that encodes the same tasks differently increments it."""

_PRIORITIES: Final[dict[Priority, int]] = {"none": 0, "high": 1, "medium": 5, "low": 9}
"""RFC 5545 §3.8.1.9."""


def calendar_version(tasks: Sequence[TaskRow]) -> int:
    """Return a number of at most 17 digits that differs for other tasks, for the ETag."""
    digest = hashlib.blake2b(msgspec.json.encode([_FORMAT, tasks]), digest_size=7).digest()
    return int.from_bytes(digest) + 1


def encode_calendar(tasks: Sequence[TaskRow]) -> bytes:
    """Return the calendar of tasks that have a due date: a VTODO for each."""
    from icalendar import Calendar  # noqa: PLC0415 - takes 40 ms and 4 MiB, for one route

    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", f"-//{SERVICE_NAME}//EN")
    for task in tasks:
        calendar.add_component(_todo(task))
    return bytes(calendar.to_ical())


def _todo(task: TaskRow) -> Todo:
    from icalendar import Todo  # noqa: PLC0415 - as above

    todo = Todo()
    todo.add("uid", str(uuid5(NAMESPACE_URL, f"urn:{SERVICE_NAME}:{task.user_id}:{task.id}")))
    todo.add("dtstamp", task.updated_at)  # without METHOD the time of the last revision, RFC 5545 §3.8.7.2
    todo.add("created", task.created_at)
    todo.add("last-modified", task.updated_at)
    todo.add("summary", _text(task.title))
    if task.description:
        todo.add("description", _text(task.description))
    todo.add("due", parse_due(task.due))
    todo.add("status", "COMPLETED" if task.completed else "NEEDS-ACTION")
    todo.add("priority", _PRIORITIES[task.priority])
    if task.tags:
        todo.add("categories", [_text(tag) for tag in task.tags])
    return todo


def _text(text: str) -> str:
    """Remove the control characters that a text value cannot contain (RFC 5545 §3.3.11)."""
    return "".join(character for character in text if character >= " " or character in "\n\t").replace(
        "\x7f", ""
    )
