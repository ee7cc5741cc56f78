"""Request and response bodies of a task."""

from datetime import date, datetime
from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from backend.schemas.due import Due
from backend.schemas.limits import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH, Priority
from backend.schemas.tags import Tags

__all__ = ["TaskCreate", "TaskResponse", "TaskUpdate", "reject_nul"]


def reject_nul(text: str) -> str:
    """Reject U+0000, which PostgreSQL cannot store."""
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


_NoNul = AfterValidator(reject_nul)

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_MAX_LENGTH),
    _NoNul,
    Field(description="1 to 200 characters once trimmed.", examples=["Buy milk"]),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_MAX_LENGTH),
    _NoNul,
    Field(description="Up to 10,000 characters, or null.", examples=["Two litres, oat"]),
]


def omit_default(schema: dict[str, Any]) -> None:
    """Remove the default from OpenAPI: an omitted field keeps its value, which no default expresses."""
    del schema["default"]


class TaskCreate(BaseModel):
    """A new task. An unknown field is rejected."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description | None = None
    completed: StrictBool = False
    priority: Priority = "none"
    due: Due | None = None
    # Pydantic deep-copies a mutable default, which takes as long as the rest of the validation.
    tags: Tags = Field(default_factory=list, json_schema_extra={"default": []})


class TaskUpdate(BaseModel):
    """The fields of a task that change, at least one; the others stay as they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    # The defaults only mark omitted fields (`model_fields_set`); only `description` and `due` can be null.
    title: Title = Field(default=cast("str", None), json_schema_extra=omit_default)
    description: Description | None = Field(
        default=None, json_schema_extra=omit_default, description="null removes it."
    )
    completed: StrictBool = Field(default=cast("bool", None), json_schema_extra=omit_default)
    priority: Priority = Field(default=cast("Any", None), json_schema_extra=omit_default)
    due: Due | None = Field(default=None, json_schema_extra=omit_default, description="null removes it.")
    tags: Tags = Field(default=cast("Any", None), json_schema_extra=omit_default)

    @model_validator(mode="after")
    def _require_a_field(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"must have at least one of {', '.join(type(self).model_fields)}")
        return self


class TaskResponse(BaseModel):
    """One task. Times are the database's, in UTC (RFC 3339)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": 42,
                "user_id": "CcRNonRYmF5NEOTTlN8biUCHXQsCgCo1",
                "title": "Buy milk",
                "description": "Two litres, oat",
                "completed": False,
                "created_at": "2026-11-23T09:15:00.123456Z",
                "updated_at": "2026-11-23T09:15:00.123456Z",
                "priority": "high",
                "due": "2026-12-01",
                "tags": ["home", "shopping"],
            }
        }
    )

    id: int
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime
    priority: Priority
    due: date | datetime | None
    tags: list[str]
