"""The HTTP status of each error of this service. `problem_details` has those of the platform's errors."""

from http import HTTPStatus
from typing import Final

from backend.errors import UserNotRegistered
from backend.platform.http.problem_details import StatusByError

__all__ = ["STATUS_BY_ERROR"]

STATUS_BY_ERROR: Final[StatusByError] = {UserNotRegistered: (HTTPStatus.CONFLICT, {})}
