"""Bodies of requests that read, write or delete several tasks."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from backend.platform.concurrency.precondition import Precondition
from backend.platform.http.conditional_requests import ENTITY_TAGS_PATTERN, parse_if_match
from backend.schemas.task import TaskCreate, TaskResponse, TaskUpdate

__all__ = [
    "OPERATIONS_MAX_COUNT",
    "ClearedTasks",
    "CreateOperation",
    "DeleteOperation",
    "OperationResult",
    "TagCount",
    "TagList",
    "TaskBatch",
    "TaskBatchResponse",
    "UpdateOperation",
]

OPERATIONS_MAX_COUNT = 100

TaskId = Annotated[StrictInt, Field(ge=1, le=2**63 - 1, description="The task's number.")]
IfMatch = Annotated[
    Precondition,
    PlainValidator(parse_if_match),
    PlainSerializer(repr, return_type=str),  # for the fingerprint of an idempotency key
    WithJsonSchema(
        {"type": "string", "pattern": ENTITY_TAGS_PATTERN, "description": "As the header `If-Match`."}
    ),
]


class CreateOperation(BaseModel):
    """Creates a task."""

    model_config = ConfigDict(extra="forbid")

    operation: Literal["create"]
    task: TaskCreate


class UpdateOperation(BaseModel):
    """Changes the given fields of a task."""

    model_config = ConfigDict(extra="forbid")

    operation: Literal["update"]
    id: TaskId
    task: TaskUpdate
    if_match: IfMatch | None = None


class DeleteOperation(BaseModel):
    """Deletes a task."""

    model_config = ConfigDict(extra="forbid")

    operation: Literal["delete"]
    id: TaskId
    if_match: IfMatch | None = None


Operation = Annotated[CreateOperation | UpdateOperation | DeleteOperation, Field(discriminator="operation")]


class TaskBatch(BaseModel):
    """Operations that are applied in order, all or none."""

    model_config = ConfigDict(extra="forbid")

    operations: list[Operation] = Field(min_length=1, max_length=OPERATIONS_MAX_COUNT)

    @model_validator(mode="wrap")
    @classmethod
    def _point_to_the_value(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Remove the discriminator, which the body does not contain at that position, from the location of an error."""
        try:
            return handler(value)
        except ValidationError as error:
            details = [
                InitErrorDetails(
                    type=PydanticCustomError(each["type"], "{message}", {"message": each["msg"]}),
                    loc=each["loc"][:2] + each["loc"][3:],
                    input=None,
                )
                for each in error.errors(include_url=False, include_input=False, include_context=False)
            ]
            raise ValidationError.from_exception_data(cls.__name__, details) from None


class OperationResult(BaseModel):
    """What one operation did. `etag` and `task` are absent after a deletion."""

    status: Literal[200, 201, 204] = Field(description="The status of the request for this operation alone.")
    etag: str | None = Field(default=None, description="The version, for `if_match`.")
    task: TaskResponse | None = None


class TaskBatchResponse(BaseModel):
    """The result of each operation, in order."""

    results: list[OperationResult]


class ClearedTasks(BaseModel):
    """How many tasks were deleted, and whether there are more to delete."""

    deleted: int = Field(ge=0)
    more: bool


class TagCount(BaseModel):
    """A tag and how many tasks have it."""

    tag: str
    pending: int = Field(ge=0, description="Tasks that are not completed.")
    total: int = Field(ge=1, description="All tasks.")


class TagList(BaseModel):
    """The tags of a user, most used first."""

    tags: list[TagCount]
