"""The calendar of tasks, without the service."""

from datetime import UTC, datetime

import msgspec
from icalendar import Calendar

from backend.models.task import TaskRow
from backend.services.calendar import calendar_version, encode_calendar

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = TaskRow(7, "alice", "Milk", None, False, NOW, NOW, "low", "2026-12-01", ("home",))  # noqa: FBT003 - positional


def test_version_has_at_most_17_digits_and_differs_for_other_tasks() -> None:
    other = msgspec.structs.replace(TASK, title="Bread")
    versions = [calendar_version(tasks) for tasks in ([], [TASK], [other], [TASK, other])]
    assert len(set(versions)) == 4
    assert all(0 < version < 10**17 for version in versions)


def test_uid_is_that_of_the_task_and_the_user() -> None:
    tasks = [TASK, msgspec.structs.replace(TASK, id=8), msgspec.structs.replace(TASK, user_id="bob")]
    uids = [todo["uid"] for todo in Calendar.from_ical(encode_calendar(tasks)).walk("VTODO")]
    assert len(set(uids)) == 3
    again = Calendar.from_ical(encode_calendar(tasks)).walk("VTODO")
    assert [todo["uid"] for todo in again] == uids


def test_control_characters_are_left_out() -> None:
    task = msgspec.structs.replace(TASK, title="a\x00b\x1f\x7fc")
    (todo,) = Calendar.from_ical(encode_calendar([task])).walk("VTODO")
    assert todo["summary"] == "abc"
