"""The request dependency that reads a JSON body."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Request
from pydantic import BaseModel, ValidationError

from backend.platform.auth.principal import Principal
from backend.platform.http.dependencies import OwnerDep
from backend.platform.http.problem_details import HttpError, validation_error

__all__ = ["json_body"]


def json_body[Model: BaseModel](model: type[Model]) -> Callable[[Request, Principal], Awaitable[Model]]:
    """Return a dependency that reads the JSON body.

    FastAPI does not read the body. So the owner check (403) runs first, and an invalid body gets a specific response:
    415 for the media type, 422 with a JSON pointer for a value.

    Args:
        model: The model that validates the body.
    """

    async def read(request: Request, _owner: OwnerDep) -> Model:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in {"application/json", "application/merge-patch+json"}:
            raise HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON: Content-Type: application/json."
            )
        body = await request.body()
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise validation_error(error.errors(include_url=False, include_input=False), "/body") from None

    return read
