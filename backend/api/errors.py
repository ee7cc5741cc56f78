"""The HTTP status of each error of the task domain."""

from http import HTTPStatus
from typing import Final

from backend.errors import PathUserMismatch, TaskNotFound, UserNotRegistered
from backend.platform.http.problem_details import StatusByError

__all__ = ["STATUS_BY_ERROR"]

STATUS_BY_ERROR: Final[StatusByError] = {
    PathUserMismatch: (HTTPStatus.FORBIDDEN, {}),
    TaskNotFound: (HTTPStatus.NOT_FOUND, {}),
    UserNotRegistered: (HTTPStatus.CONFLICT, {}),
}
