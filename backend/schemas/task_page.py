"""Query parameters and response body of the list of tasks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from backend.platform.http.canonical_bool import CANONICAL_BOOL
from backend.platform.http.canonical_int import CANONICAL_INT
from backend.platform.postgres.keyset import OPTIONAL_TIME_KEY, TEXT_KEY, TIME_KEY, SortKey
from backend.platform.postgres.list_query import Order
from backend.schemas.due import Due, due_bounds, due_key, format_due, parse_due
from backend.schemas.limits import PRIORITIES, TAGS_MAX_COUNT, Priority
from backend.schemas.tags import Tag
from backend.schemas.task import TaskResponse, reject_nul

__all__ = ["LIMIT_MAX", "SORT_KEYS", "Filter", "Order", "Sort", "Status", "TaskPage", "TaskQuery"]

LIMIT_MAX = 200


def _encode_due(due: str | None) -> str | int | None:
    return OPTIONAL_TIME_KEY.encode(None if due is None else due_key(parse_due(due)))


def _encode_priority(priority: Priority) -> int | None:
    return PRIORITIES.index(priority) or None


def _decode_priority(rank: Any) -> int | None:
    if rank is not None and rank not in range(1, len(PRIORITIES)):
        raise ValueError
    number: int | None = rank
    return number


SORT_KEYS: Final[Mapping[str, SortKey]] = {
    "created_at": TIME_KEY,
    "updated_at": TIME_KEY,
    "title": TEXT_KEY,
    "due": replace(OPTIONAL_TIME_KEY, encode=_encode_due),
    "priority": SortKey("desc", _encode_priority, _decode_priority, lambda column: column, nullable=True),
}
"""The columns by which the list is sorted; `id` breaks ties. Indexes, statements and cursors use this table."""

Status = Literal["all", "pending", "completed"]
Filter = Literal["completed", "search", "priority", "tag", "due_before", "due_after", "has_due"]
if TYPE_CHECKING:
    Sort = str
else:
    Sort = Literal[tuple(SORT_KEYS)]


def _as_set(values: list[str]) -> list[str]:
    return sorted(set(values))


_SCOPED_BY_NAME: Final = {"completed", "search"}


class TaskQuery(BaseModel):
    """The query parameters of a list. An unknown one is rejected, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid")

    status: Status = Field("all", description="Which tasks: all, or by whether they are completed.")
    search: (
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(reject_nul)]
        | None
    ) = Field(None, description="Only tasks with this text in title or description, in either case.")
    priority: Annotated[list[Priority], AfterValidator(_as_set)] | None = Field(
        None, description="Only tasks with any of these priorities."
    )
    tag: Annotated[list[Tag], Field(max_length=TAGS_MAX_COUNT), AfterValidator(_as_set)] | None = Field(
        None, description="Only tasks with all of these tags."
    )
    due_before: Due | None = Field(
        None,
        description="Only tasks due before this date or date-time; a date excludes the tasks of that day.",
    )
    due_after: Due | None = Field(
        None,
        description="Only tasks due after this date or date-time; a date excludes the tasks of that day.",
    )
    has_due: Annotated[bool, CANONICAL_BOOL] | None = Field(
        None, description="Only tasks with, or without, a due date."
    )
    sort: Sort = Field(
        "created_at", description="What to order by. Tasks without a due date or a priority come last."
    )
    order: Order | None = Field(
        None, description="Default: `desc` for `created_at`, `updated_at` and `priority`, else `asc`."
    )
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), CANONICAL_INT] = Field(
        50, description="Most tasks in one page."
    )
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        None,
        description="`next_cursor` of the page before; goes with the same filters, sort and order.",
    )

    @property
    def filters(self) -> dict[Filter, Any]:
        """The value of each active filter."""
        filters: dict[Filter, Any] = {}
        if self.status != "all":
            filters["completed"] = self.status == "completed"
        if self.search:
            filters["search"] = self.search
        if self.due_before is not None:
            filters["due_before"] = format_due(due_bounds(self.due_before)[0])
        if self.due_after is not None:
            filters["due_after"] = format_due(due_bounds(self.due_after)[1])
        if self.has_due is not None:
            filters["has_due"] = self.has_due
        if self.priority:
            filters["priority"] = self.priority
        if self.tag:
            filters["tag"] = self.tag
        return filters

    @property
    def scope(self) -> dict[str, Any]:
        """The parameters that must be the same for every page of a list."""
        scope = {name: self.__dict__[name] for name in ("status", "search", "sort", "order")}
        # Only if there are any: the cursors of the previous release stay valid.
        if others := {name: value for name, value in self.filters.items() if name not in _SCOPED_BY_NAME}:
            scope["filters"] = others
        return scope

    @model_validator(mode="after")
    def _default_order(self) -> Self:
        if self.order is None:
            self.order = SORT_KEYS[self.sort].default_order
        return self


class TaskPage(BaseModel):
    """One page of a user's tasks."""

    tasks: list[TaskResponse]
    count: int = Field(description="How many tasks this page has.", ge=0, le=LIMIT_MAX)
    next_cursor: str | None = Field(description="Ask for the next page with it; null on the last page.")
