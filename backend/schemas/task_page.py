"""Query parameters and response body of the list of tasks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from backend.platform.http.canonical_int import CANONICAL_INT
from backend.platform.postgres.keyset import TEXT_KEY, TIME_KEY, SortKey
from backend.platform.postgres.list_query import Order
from backend.schemas.task import TaskResponse, reject_nul

__all__ = ["LIMIT_MAX", "SORT_KEYS", "Filter", "Order", "Sort", "Status", "TaskPage", "TaskQuery"]

LIMIT_MAX = 200

SORT_KEYS: Final[Mapping[str, SortKey]] = {
    "created_at": TIME_KEY,
    "updated_at": TIME_KEY,
    "title": TEXT_KEY,
}
"""The columns by which the list is sorted; `id` breaks ties. Indexes, statements and cursors use this table."""

Status = Literal["all", "pending", "completed"]
Filter = Literal["completed", "search"]
if TYPE_CHECKING:
    Sort = str
else:
    Sort = Literal[tuple(SORT_KEYS)]


class TaskQuery(BaseModel):
    """The query parameters of a list. An unknown one is rejected, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid")

    status: Status = Field("all", description="Which tasks: all, or by whether they are completed.")
    search: (
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(reject_nul)]
        | None
    ) = Field(None, description="Only tasks with this text in title or description, in either case.")
    sort: Sort = Field("created_at", description="What to order by.")
    order: Order | None = Field(None, description="Default: newest first for times, `asc` for `title`.")
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), CANONICAL_INT] = Field(
        50, description="Most tasks in one page."
    )
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        None,
        description="`next_cursor` of the page before; goes with the same status, search, sort and order.",
    )

    @property
    def filters(self) -> dict[Filter, Any]:
        """The value of each active filter."""
        filters: dict[Filter, Any] = {}
        if self.status != "all":
            filters["completed"] = self.status == "completed"
        if self.search:
            filters["search"] = self.search
        return filters

    @property
    def scope(self) -> dict[str, Any]:
        """The parameters that must be the same for every page of a list."""
        return {name: value for name, value in self.__dict__.items() if name not in {"limit", "cursor"}}

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
