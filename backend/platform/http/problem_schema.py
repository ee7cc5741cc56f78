"""The body of every error response (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field

from backend.platform.service_name import SERVICE_NAME

__all__ = ["InvalidField", "Problem"]


class InvalidField(BaseModel):
    """One thing that is wrong with the input."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) to it: `/body/title`, `/query/limit`, `/path/task_id`, `/header/if-match`."
    )
    detail: str = Field(description="What is expected.")


class Problem(BaseModel):
    """What went wrong, for programs and for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"urn:{SERVICE_NAME}:problem:task-not-found",
                "title": "Task not found",
                "status": 404,
                "detail": "You have no task 42.",
                "instance": "/api/CcRNonRYmF5NEOTTlN8biUCHXQsCgCo1/tasks/42",
                "request_id": "5f0c0f3c4f0e4c0f9d3a0a7f1b0e2d11",
            }
        }
    )

    type: str = Field(description="What kind of problem; `about:blank` where the status says it all.")
    title: str = Field(description="The same for every problem of this type.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened this time, and what to do.")
    instance: str = Field(description="The path of the request.")
    request_id: str = Field(description="Leads to this request in the log; also in `X-Request-ID`.")
    errors: list[InvalidField] = Field(
        default=[],
        description="With 422: what is wrong, one by one. With 404 and 412 of a batch: the operation.",
    )
