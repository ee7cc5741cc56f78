"""The list of tasks on the wire: what can be asked for, and a page of the answer."""

from typing import Annotated, Literal, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from backend.platform.http.canonical_int import CANONICAL_INT
from backend.schemas.task import TaskResponse, TaskRow, reject_nul

__all__ = ["LIMIT_MAX", "Order", "Position", "Sort", "Status", "TaskPage", "TaskPageRecord", "TaskQuery"]

LIMIT_MAX = 200

Status = Literal["all", "pending", "completed"]
Sort = Literal["created_at", "updated_at", "title"]
Order = Literal["asc", "desc"]


class TaskQuery(BaseModel):
    """The parameters of a list. An unknown one is refused, so that a typo is noticed."""

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
    def completed(self) -> bool | None:
        """The value of `completed` that is asked for, None for either."""
        return None if self.status == "all" else self.status == "completed"

    @model_validator(mode="after")
    def _default_order(self) -> Self:
        if self.order is None:
            self.order = "asc" if self.sort == "title" else "desc"
        return self


class Position(msgspec.Struct, frozen=True):
    """The place of one task in an ordered list: its sort key, and its id where keys are equal."""

    key: str | int
    """The title, or the time in microseconds since 1970."""

    id: int


class TaskPage(BaseModel):
    """One page of a user's tasks."""

    tasks: list[TaskResponse]
    count: int = Field(description="How many tasks this page has.", ge=0, le=LIMIT_MAX)
    next_cursor: str | None = Field(description="Ask for the next page with it; null on the last page.")


class TaskPageRecord(msgspec.Struct, frozen=True):
    """A page as it is written as JSON; the fields are those of `TaskPage`."""

    tasks: list[TaskRow]
    count: int
    next_cursor: str | None
